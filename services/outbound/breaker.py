"""What keeps one bad provider from harming the rest: a circuit breaker and a bulkhead per sender. Pure; time is given."""

from __future__ import annotations

from dataclasses import dataclass

#: While it is open one probe a second may go through.
PROBE_SECONDS = 1.0
LONGEST_PAUSE = 30.0


@dataclass
class Breaker:
    """Opens after ``failures`` sends in a row that the provider did not answer; any answer, a refusal too, closes it."""

    failures: int = 5
    _run: int = 0
    _opened: float | None = None
    _next_probe: float = 0.0

    @property
    def open(self) -> bool:
        return self._opened is not None

    def admits(self, now: float) -> bool:
        """Whether a send may go ahead; while open, one each second (the probe)."""
        if self._opened is None:
            return True
        if now < self._next_probe:
            return False
        self._next_probe = now + PROBE_SECONDS
        return True

    def note(self, answered: bool, now: float) -> None:
        """How a send ended."""
        if answered:
            self._run, self._opened = 0, None
            return
        self._run += 1
        if self._opened is None and self._run >= self.failures:
            self._opened = now
            self._next_probe = now + PROBE_SECONDS

    def pause(self, now: float, luck: float) -> float:
        """How long a send that was not admitted should stay away, in seconds: longer in a long outage, and spread."""
        lasted = now - self._opened if self._opened is not None else 0.0
        return PROBE_SECONDS + luck * min(LONGEST_PAUSE, 2 + lasted / 4)


@dataclass
class Bulkhead:
    """At most ``most`` sends in flight, so that a slow provider cannot take every place of a worker. Bulk leaves a fifth of
    them free: whoever waits for a code does not stand before a house full of it."""

    most: int = 200
    _taken: int = 0

    def enter(self, bulk: bool = False) -> bool:
        """Take a place, if there is one."""
        return self.enter_together(1, 1, bulk) == 1

    def enter_together(self, wanted: int, worth: int, bulk: bool = True) -> int:
        """Take up to ``wanted`` places; none, if fewer are free than are ``worth`` the trouble. Returns how many."""
        free = (max(1, self.most * 4 // 5) if bulk else self.most) - self._taken
        got = min(wanted, free) if free >= min(wanted, worth) else 0
        self._taken += got
        return got

    def leave(self, places: int = 1) -> None:
        self._taken -= places
