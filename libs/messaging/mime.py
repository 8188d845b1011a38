"""Mail taken apart, the same way for everybody who counts its parts: headers are cut before they are parsed, and the bytes go to
the library piece by piece (half the memory of ``message_from_bytes``)."""

from __future__ import annotations

from email.message import EmailMessage
from email.parser import BytesFeedParser
from email.policy import EmailPolicy
from functools import lru_cache
from typing import Any

MAX_PARTS = 500
#: The library takes time that grows with the square of some headers; no honest one is nearly as long.
MAX_HEADER_CHARACTERS = 4_000
#: Of those that cost most: parameters (RFC 2231; a file name of 200 Chinese characters has 1,800) and addresses.
_MAX_CHARACTERS = {"content-type": 2_000, "content-disposition": 2_000, "from": 1_000}
_PIECE = 1 << 16


class _Bounded(EmailPolicy):
    """Headers are cut before they are taken apart."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[: _MAX_CHARACTERS.get(name.lower(), MAX_HEADER_CHARACTERS)]

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return _header(name, value)


@lru_cache(maxsize=8)
def _header(name: str, value: str) -> Any:
    """The library parses a header again for each question about it; most questions are about the last few."""
    return EmailPolicy.header_fetch_parse(POLICY, name, value)


POLICY = _Bounded()


def parsed(raw: bytes) -> EmailMessage:
    """The message. Whatever a stranger wrote may make the library raise anything."""
    parser = BytesFeedParser(policy=POLICY)
    for at in range(0, len(raw), _PIECE):
        parser.feed(raw[at : at + _PIECE])
    message = parser.close()
    assert isinstance(message, EmailMessage)
    return message


def parts_of(message: EmailMessage) -> list[EmailMessage]:
    """The parts that hold no others; ``part-<n>`` names the n-th."""
    found: list[EmailMessage] = []
    for part in message.walk():
        if len(found) == MAX_PARTS:
            break
        if not part.is_multipart():
            found.append(part)
    return found
