"""How many records may be in flight, shared fairly between queues."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence


class Room:
    """Half of ``total`` is split evenly and kept for each queue alone (a bulkhead); the other half goes to whoever asks,
    so that neither a slow queue nor several can take everything from the rest."""

    def __init__(self, total: int, queues: Sequence[str]) -> None:
        count = max(1, len(queues))
        self._own = max(1, total // (2 * count)) if count > 1 else total
        #: Small receives cost as much as full ones, so a poll waits until one is worth it.
        self._worth = max(1, min(10, self._own // 2))
        self._shared = max(0, total - self._own * count)
        self._inside: Counter[str] = Counter()
        self._borrowed = 0
        self._left = asyncio.Event()

    def free(self, queue: str) -> int:
        """How many more records of the queue may be taken."""
        return max(0, self._own - self._inside[queue]) + max(0, self._shared - self._borrowed)

    def ready(self, queue: str) -> int:
        """The same, or 0 while it is not worth a receive."""
        free = self.free(queue)
        return free if free >= self._worth else 0

    async def wait(self, queue: str) -> int:
        """Wait until :meth:`ready`."""
        while not (free := self.ready(queue)):
            self._left.clear()
            await self._left.wait()
        return free

    def enter(self, queue: str) -> None:
        """Receives under way can overfill the room, by what each of them brings."""
        self._inside[queue] += 1
        self._borrowed += self._inside[queue] > self._own

    def leave(self, queue: str) -> None:
        self._borrowed -= self._inside[queue] > self._own
        self._inside[queue] -= 1
        self._left.set()
