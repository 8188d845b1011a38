"""The consumer breaker: when nearly everything fails, take nothing more but a single probe now and then, until one
goes through. A bad deploy then costs time instead of a dead-letter queue full of good messages."""

from __future__ import annotations

from collections import deque

WINDOW_EVENTS = 50
MIN_FAILURES = 40
MIN_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 60.0


class ConsumerBreaker:
    """Pure: fed with outcomes and the time in seconds. On after ``limit`` failures among the last ``window`` outcomes."""

    def __init__(self, window: int = WINDOW_EVENTS, limit: int = MIN_FAILURES) -> None:
        #: Which record, and whether it went well.
        self._outcomes: deque[tuple[str, bool]] = deque(maxlen=window)
        self._limit = limit
        self._pause = 0.0
        self._probe_at = 0.0
        self._fault = ""

    @property
    def open(self) -> bool:
        return self._pause > 0

    @property
    def why(self) -> str:
        """What brought it on, or keeps it on, in names and numbers; empty while it is off."""
        if not self.open:
            return ""
        return f"{self._failures} of the last {len(self._outcomes)} failed, lately with {self._fault or 'a fault'}"

    @property
    def _failures(self) -> int:
        return sum(1 for _, good in self._outcomes if not good)

    def record(self, good: int, bad: int, now: float, fault: str = "", record: str = "") -> None:
        """Of one record, so many events went through, and so many failed for a reason nobody foresaw, ``fault`` (an exception
        by name); a record of more events than the window holds counts in proportion. A ``record`` (its id) that fails again
        replaces what it counted before: a few bad records that are retried do not stop a quiet queue. What was still running
        when the consumer breaker opened and fails too does not lengthen the pause; a record that went through for the most part
        releases it."""
        self._fault = fault or self._fault
        if bad <= good and self.open:
            self._outcomes.clear()
            self._pause = 0.0
        if bad and record and any(known == record for known, _ in self._outcomes):
            left = [outcome for outcome in self._outcomes if outcome[0] != record]
            self._outcomes.clear()
            self._outcomes.extend(left)
        share = min(1.0, (self._outcomes.maxlen or 1) / max(1, good + bad))
        self._outcomes.extend([(record, True)] * int(good * share) + [(record, False)] * round(bad * share))
        if not self.open and self._failures >= self._limit:
            self._pause = MIN_PAUSE_SECONDS
            self._probe_at = now + self._pause
        elif self.open and now >= self._probe_at:
            self._pause = min(MAX_PAUSE_SECONDS, self._pause * 2)
            self._probe_at = now + self._pause

    def pause_seconds(self, now: float) -> float:
        """Seconds to wait before the next record may be taken; 0: go ahead (with one alone, while ``open``)."""
        return max(0.0, self._probe_at - now) if self.open else 0.0
