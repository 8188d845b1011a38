"""The consumer breaker: while nearly everything fails, receive only single probes until one succeeds. A faulty
deployment then delays messages instead of filling the dead-letter queue with valid ones."""

from __future__ import annotations

from collections import deque

WINDOW_EVENTS = 50
MIN_FAILURES = 40
MIN_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 60.0


class ConsumerBreaker:
    """Pure: takes outcomes and the time in seconds. Opens after ``limit`` failures among the last ``window`` outcomes."""

    def __init__(self, window: int = WINDOW_EVENTS, limit: int = MIN_FAILURES) -> None:
        #: The record, and whether it succeeded.
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
        """Why it is open, in names and numbers; empty while it is closed."""
        if not self.open:
            return ""
        return f"{self._failures} of the last {len(self._outcomes)} failed, lately with {self._fault or 'a fault'}"

    @property
    def _failures(self) -> int:
        return sum(1 for _, good in self._outcomes if not good)

    def record(self, good: int, bad: int, now: float, fault: str = "", record: str = "") -> None:
        """Count one record: the number of events that succeeded, and of those that failed unexpectedly with ``fault`` (the name of
        an exception). A record with more events than the window counts in proportion. A ``record`` (its id) that fails again
        replaces its earlier count: a few failing records that are retried do not stop a quiet queue. A failure of a record that
        was running when the breaker opened does not lengthen the pause. A record that mostly succeeded closes the breaker."""
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
        """Seconds to wait before the next record may be received; 0: none (only one record while ``open``)."""
        return max(0.0, self._probe_at - now) if self.open else 0.0
