"""Limits the records in flight, and shares the limit fairly between queues."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence


class InflightLimiter:
    """Half of ``total`` is split evenly and reserved for each queue (a bulkhead); the other half is shared, so that neither
    one slow queue nor several can block the others."""

    def __init__(self, total: int, queues: Sequence[str]) -> None:
        count = max(1, len(queues))
        self._reserved = max(1, total // (2 * count)) if count > 1 else total
        #: A small receive costs as much as a full one, so a poll waits for this many slots.
        self._min_batch = max(1, min(10, self._reserved // 2))
        self._shared = max(0, total - self._reserved * count)
        self._in_flight: Counter[str] = Counter()
        self._borrowed = 0
        self._released = asyncio.Event()

    def free(self, queue: str) -> int:
        """The number of records of the queue that may be received now."""
        return max(0, self._reserved - self._in_flight[queue]) + max(0, self._shared - self._borrowed)

    def ready(self, queue: str) -> int:
        """The same, or 0 while it is too small for a receive."""
        free = self.free(queue)
        return free if free >= self._min_batch else 0

    async def wait(self, queue: str) -> int:
        """Wait until :meth:`ready`."""
        while not (free := self.ready(queue)):
            self._released.clear()
            await self._released.wait()
        return free

    def acquire(self, queue: str) -> None:
        """Concurrent receives can exceed the limit, by the records that each returns."""
        self._in_flight[queue] += 1
        self._borrowed += self._in_flight[queue] > self._reserved

    def release(self, queue: str) -> None:
        self._borrowed -= self._in_flight[queue] > self._reserved
        self._in_flight[queue] -= 1
        self._released.set()
