"""A circuit breaker and a bulkhead per sender: one provider that fails does not affect the others. Pure; time is passed in."""

from __future__ import annotations

from dataclasses import dataclass

#: While the breaker is open the provider is probed at most this often; the interval doubles with each unanswered probe.
PROBE_INTERVAL_SECONDS = 1.0
MAX_PROBE_SECONDS = 30.0
MAX_PAUSE_SECONDS = 30.0


@dataclass
class CircuitBreaker:
    """Opens after ``failures`` unanswered sends in a row, or at the first unanswered probe. Any answer to a send closes it, a
    refusal too. After one unanswered send it is ``doubtful``: a channel that can probe does so before the next send. An
    answered probe closes it, but one more unanswered send opens it again."""

    failures: int = 5
    _run: int = 0
    _opened: float | None = None
    _doubt: bool = False
    _interval: float = PROBE_INTERVAL_SECONDS
    _next_probe: float = 0.0

    @property
    def open(self) -> bool:
        return self._opened is not None

    @property
    def doubtful(self) -> bool:
        """Whether a send has gone unanswered since the provider last answered."""
        return self._doubt or self.open

    def admits(self, now: float) -> bool:
        """Whether a probe may be made now; each probe postpones the next."""
        if self._opened is None:
            return True
        if now < self._next_probe:
            return False
        self._next_probe = now + self._interval
        return True

    def waited_long(self, now: float) -> bool:
        """Whether it has been open for longer than the longest interval between probes."""
        return self._opened is not None and now - self._opened > MAX_PROBE_SECONDS

    def note(self, answered: bool, now: float) -> None:
        """Records how a send ended."""
        if answered:
            self._run, self._opened, self._doubt, self._interval = 0, None, False, PROBE_INTERVAL_SECONDS
            return
        self._run, self._doubt = self._run + 1, True
        if self._run >= self.failures:
            self._opens(now)

    def probed(self, answered: bool, now: float) -> None:
        """Records how a probe ended. An answer resets ``doubtful``, but neither the count of unanswered sends nor the interval."""
        if answered:
            self._opened, self._doubt = None, False
            self._run = min(self._run, self.failures - 1)
        else:
            self._opens(now)

    def _opens(self, now: float) -> None:
        if self._opened is None:
            self._opened = now
        self._next_probe = now + self._interval
        self._interval = min(MAX_PROBE_SECONDS, 2 * self._interval)

    def pause(self, now: float, jitter: float) -> float:
        """How long a send that was not admitted waits, in seconds: longer in a long outage, with jitter."""
        lasted = now - self._opened if self._opened is not None else 0.0
        return PROBE_INTERVAL_SECONDS + jitter * min(MAX_PAUSE_SECONDS, 2 + lasted / 4)


@dataclass
class Bulkhead:
    """At most ``maximum`` sends in flight, so that a slow provider cannot use all slots of a worker. Bulk leaves a fifth of
    them free for OTPs, transactional messages and replies."""

    maximum: int = 200
    _in_use: int = 0

    def acquire(self, bulk: bool = False) -> bool:
        """Takes one slot, if one is free."""
        return self.acquire_many(1, 1, bulk) == 1

    def acquire_many(self, wanted: int, worth: int, bulk: bool = True) -> int:
        """Takes up to ``wanted`` slots; none if fewer than ``worth`` are free. Returns how many."""
        free = (max(1, self.maximum * 4 // 5) if bulk else self.maximum) - self._in_use
        got = min(wanted, free) if free >= min(wanted, worth) else 0
        self._in_use += got
        return got

    def release(self, places: int = 1) -> None:
        self._in_use -= places
