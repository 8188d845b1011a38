"""The error for a file that can never be fetched."""

from __future__ import annotations


class Gone(Exception):
    """``reason`` is a value of MediaRejected, ``detail`` is text for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
