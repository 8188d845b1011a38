"""A file that can never be had."""

from __future__ import annotations


class Gone(Exception):
    """``reason`` is a word of MediaRejected, ``detail`` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
