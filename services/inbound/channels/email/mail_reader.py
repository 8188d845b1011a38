"""Mail that is kept in our bucket, read apart: it may have 40 MB, and who wrote it may have meant to stop us.

Short mail is read here: at this length the worst that was found takes 70 ms, while a child costs 3 ms for each mail and half
a second to start (``libs/common/isolated.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

import structlog
from pydantic import TypeAdapter

from libs.common.isolated import MIB, Isolated, OverLimit, ReaderFailed
from services.inbound.channels.email.mime import Mime, read, unreadable

MAX_INLINE_BYTES = 8_192
_MIME = TypeAdapter(Mime)
#: 40 MB of honest mail take 0.6 s. Text and HTML are cut to what an event holds.
_READERS = Isolated(cpu_seconds=5, wait_seconds=20, output_bytes=MIB)

log = structlog.get_logger()


async def read_apart(raw: bytes) -> Mime:
    """What is in these bytes. What cannot be read within limits is kept as such. Raises Busy."""
    if len(raw) <= MAX_INLINE_BYTES:
        return read(raw)
    try:
        return _MIME.validate_json(await _READERS.call(_read, raw))
    except (OverLimit, ReaderFailed) as error:
        log.warning("a mail could not be read", size=len(raw), why=str(error))
        return unreadable(str(error))


def _read(raw: bytes) -> Iterator[bytes]:
    """Runs in the child."""
    yield _MIME.dump_json(read(raw))
