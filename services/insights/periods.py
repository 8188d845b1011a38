"""Periods: hours, days and 5 minutes, in UTC. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

SLOT_MINUTES = 5


class By(StrEnum):
    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> timedelta:
        return timedelta(hours=1) if self is By.HOUR else timedelta(days=1)

    def floor(self, at: datetime) -> datetime:
        """Returns the beginning of the period that contains ``at``."""
        at = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return at if self is By.HOUR else at.replace(hour=0)

    def label(self, at: datetime) -> str:
        """Returns the label: ``2026-01-15T12`` or ``2026-01-15``; text order is time order."""
        return self.floor(at).strftime("%Y-%m-%dT%H" if self is By.HOUR else "%Y-%m-%d")

    def begin(self, name: str) -> datetime:
        """Returns the beginning of the period with that label."""
        return datetime.strptime(name, "%Y-%m-%dT%H" if self is By.HOUR else "%Y-%m-%d").replace(tzinfo=UTC)


def hour_and_day(milliseconds: int) -> tuple[str, str]:
    """Returns the labels of the hour and of the day of a moment."""
    return _labels(milliseconds // 3_600_000)


@lru_cache(maxsize=1000)
def _labels(hours: int) -> tuple[str, str]:
    at = datetime.fromtimestamp(hours * 3600, UTC)
    return By.HOUR.label(at), By.DAY.label(at)


def slot_of(milliseconds: int) -> int:
    """Returns the number of the 5 minutes within the hour, from 0."""
    return milliseconds // 60_000 % 60 // SLOT_MINUTES


def slots(since: datetime, until: datetime) -> list[tuple[str, int]]:
    """Returns ``[(hour, slot)]`` of the 5 minutes from that of ``since`` to that of ``until``, inclusive."""
    at = since.replace(minute=since.minute // SLOT_MINUTES * SLOT_MINUTES, second=0, microsecond=0)
    found = []
    while at <= until:
        found.append((By.HOUR.label(at), at.minute // SLOT_MINUTES))
        at += timedelta(minutes=SLOT_MINUTES)
    return found
