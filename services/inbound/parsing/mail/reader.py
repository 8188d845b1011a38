"""Parses stored mail in a child process: a mail has up to 40 MB and is untrusted.

Short mail is parsed in this process: at this length the slowest mail found takes 70 ms, while a child costs 3 ms per
mail and half a second to start (``libs/common/isolated.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

import structlog
from pydantic import TypeAdapter

from libs.common.isolated import MIB, Isolated, OverLimit, ReaderFailed
from services.inbound.parsing.mail.mime import Mime, read, unreadable

MAX_INLINE_BYTES = 8_192
_MIME = TypeAdapter(Mime)
#: A usual mail of 40 MB takes 0.6 s. Text and HTML are truncated to the size of an event.
_READERS = Isolated(cpu_seconds=5, wait_seconds=20, output_bytes=MIB)

log = structlog.get_logger()


async def read_apart(raw: bytes) -> Mime:
    """Parses a mail. A mail that exceeds the limits becomes raw content. Raises NoSlot."""
    if len(raw) <= MAX_INLINE_BYTES:
        return read(raw)
    try:
        return _MIME.validate_json(await _READERS.call(_read, raw))
    except (OverLimit, ReaderFailed) as error:
        log.warning("a mail could not be read", size=len(raw), why=str(error))
        return unreadable(str(error))


def _read(raw: bytes) -> Iterator[bytes]:
    """Runs in the child process."""
    yield _MIME.dump_json(read(raw))
