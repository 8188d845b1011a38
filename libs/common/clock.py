"""The only access to time and to random ids; also derives ids.

Other code uses a :class:`Clock`, so that a test can set the time and a rerun sees the same times.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import uuid
from datetime import MINYEAR, UTC, datetime, timedelta
from typing import Annotated, Protocol

from pydantic import AwareDatetime, PlainSerializer

#: The name space of derived ids.
NAMESPACE = uuid.UUID("5f2b3ab8-6f0d-5d0e-9a53-7c3d1c1f8a11")


FIRST_MOMENT, LAST_MOMENT = "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"


def iso(moment: datetime) -> str:
    """UTC with milliseconds and a ``Z``: always the same width, so text order is time order."""
    try:
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    except OverflowError:
        # The first or last representable time, in a zone in which it overflows: used unchanged.
        return FIRST_MOMENT if moment.year == MINYEAR else LAST_MOMENT


#: A time in an item or event: with a time zone, written in one sortable format.
Timestamp = Annotated[AwareDatetime, PlainSerializer(iso, return_type=str)]


class Clock(Protocol):
    """The source of time."""

    def now(self) -> datetime:
        """The current time, in UTC with a time zone."""

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock for tests: it changes only by ``advance`` and by sleeping."""

    def __init__(self, start: datetime = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move time forward by ``seconds``."""
        self._now += timedelta(seconds=seconds)


def derived_id(*parts: str) -> str:
    """The same parts always give the same id: UUID version 5 (RFC 9562), three times as fast as ``uuid.uuid5``."""
    digest = bytearray(
        hashlib.sha1(
            NAMESPACE.bytes + "\x1f".join(parts).encode("utf-8", "surrogatepass"), usedforsecurity=False
        ).digest()[:16]
    )
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def random_id() -> str:
    """A random id (for claims and writes): 32 hexadecimal digits."""
    return os.urandom(16).hex()


def monotonic() -> float:
    """Monotonic seconds, for durations inside one process."""
    return time.monotonic()
