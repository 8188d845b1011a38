"""Parses mail, with the same part numbers for every caller. Headers are truncated before they are parsed, and the bytes
are fed to the library in chunks (half the memory of ``message_from_bytes``)."""

from __future__ import annotations

from email.message import EmailMessage
from email.parser import BytesFeedParser
from email.policy import EmailPolicy
from functools import lru_cache
from typing import Any

MAX_PARTS = 500
#: Parsing some headers takes quadratic time; no legitimate header is nearly as long.
MAX_HEADER_CHARACTERS = 4_000
#: Lower limits for the slowest headers: parameters (RFC 2231; a file name of 200 Chinese characters has 1,800) and
#: addresses.
_MAX_CHARACTERS = {"content-type": 2_000, "content-disposition": 2_000, "from": 1_000}
_PIECE = 1 << 16


class _Bounded(EmailPolicy):
    """Truncates headers before they are parsed."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[: _MAX_CHARACTERS.get(name.lower(), MAX_HEADER_CHARACTERS)]

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return _header(name, value)


@lru_cache(maxsize=8)
def _header(name: str, value: str) -> Any:
    """Caches parsed headers: the library parses a header at each access, and most accesses repeat the last few."""
    return EmailPolicy.header_fetch_parse(POLICY, name, value)


POLICY = _Bounded()


def parsed(raw: bytes) -> EmailMessage:
    """Parses a message. The input is untrusted, so the library may raise any exception."""
    parser = BytesFeedParser(policy=POLICY)
    for at in range(0, len(raw), _PIECE):
        parser.feed(raw[at : at + _PIECE])
    message = parser.close()
    assert isinstance(message, EmailMessage)
    return message


def parts_of(message: EmailMessage) -> list[EmailMessage]:
    """Returns the parts without subparts; the n-th is named ``part-<n>``."""
    found: list[EmailMessage] = []
    for part in message.walk():
        if len(found) == MAX_PARTS:
            break
        if not part.is_multipart():
            found.append(part)
    return found
