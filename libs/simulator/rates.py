"""Token buckets by key, on the simulator's clock."""

from __future__ import annotations

from libs.simulator.clock import Clock


class Buckets:
    """`take(key, rate, burst)` is true while `key` stays within `rate` per second plus `burst` at once."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.levels: dict[str, tuple[float, float]] = {}

    def take(self, key: str, rate: float, burst: float) -> bool:
        now = self.clock.now()
        tokens, seen = self.levels.get(key, (burst, now))
        tokens = min(burst, tokens + (now - seen) * rate)
        allowed = tokens >= 1
        self.levels[key] = (tokens - 1 if allowed else tokens, now)
        return allowed

    def clear(self) -> None:
        self.levels.clear()
