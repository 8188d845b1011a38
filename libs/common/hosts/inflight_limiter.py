"""How many records may be in flight, shared fairly between queues."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence


class InflightLimiter:
    """Half of ``total`` is split evenly and kept for each queue alone (a bulkhead); the other half goes to whoever asks,
    so that neither a slow queue nor several can take everything from the rest."""

    def __init__(self, total: int, queues: Sequence[str]) -> None:
        count = max(1, len(queues))
        self._reserved = max(1, total // (2 * count)) if count > 1 else total
        #: Small receives cost as much as full ones, so a poll waits until one is worth it.
        self._min_batch = max(1, min(10, self._reserved // 2))
        self._shared = max(0, total - self._reserved * count)
        self._in_flight: Counter[str] = Counter()
        self._borrowed = 0
        self._released = asyncio.Event()

    def free(self, queue: str) -> int:
        """How many more records of the queue may be taken."""
        return max(0, self._reserved - self._in_flight[queue]) + max(0, self._shared - self._borrowed)

    def ready(self, queue: str) -> int:
        """The same, or 0 while it is not worth a receive."""
        free = self.free(queue)
        return free if free >= self._min_batch else 0

    async def wait(self, queue: str) -> int:
        """Wait until :meth:`ready`."""
        while not (free := self.ready(queue)):
            self._released.clear()
            await self._released.wait()
        return free

    def acquire(self, queue: str) -> None:
        """Receives under way can overfill the room, by what each of them brings."""
        self._in_flight[queue] += 1
        self._borrowed += self._in_flight[queue] > self._reserved

    def release(self, queue: str) -> None:
        self._borrowed -= self._in_flight[queue] > self._reserved
        self._in_flight[queue] -= 1
        self._released.set()
