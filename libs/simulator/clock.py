"""The simulator's clock: wall time plus an offset that tests can move forward."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Seconds since 1970 as the simulator sees them; `advance` moves it forward."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        return time.time() + self.offset

    def advance(self, seconds: float) -> float:
        """Move forward by `seconds`; returns the new offset. Time never goes back."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self.offset += seconds
        return self.offset


def iso_millis(at: float) -> str:
    """`2026-09-01T12:00:00.000Z`, the form SES uses."""
    return f"{_seconds(at)}.{int(at * 1000) % 1000:03d}Z"


def iso_nanos(at: float) -> str:
    """`2026-09-01T12:00:00.271279391Z`, the form of `message_timestamp` in WhatsApp envelopes."""
    fraction = int((at % 1) * 1_000_000_000)
    return f"{_seconds(at)}.{fraction:09d}Z"


def _seconds(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")[:-6]
