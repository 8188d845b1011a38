"""Pending events, ordered by their due time on the simulator's clock; feeds the publisher."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable

from libs.simulator.clock import Clock
from libs.simulator.publisher import Publisher

BURST = 200
"""The number of events published before requests are handled again."""

FLUSH_SECONDS = 600.0
"""At shutdown, pending receipts are published early, but only those due within this time."""

Render = Callable[[], str]


class Emitter:
    """`at(due, topics, render)` publishes `render()` to each topic at `due`; the last published events are in `recent`."""

    def __init__(self, clock: Clock, publisher: Publisher, tick_s: float) -> None:
        self.clock = clock
        self.publisher = publisher
        self.tick_s = tick_s
        self.heap: list[tuple[float, int, tuple[str, ...], Render]] = []
        self.order = itertools.count()
        self.emitted = 0
        self.recent: deque[dict[str, object]] = deque(maxlen=1000)
        self.wake = asyncio.Event()

    def at(self, due: float, topics: Iterable[str], render: Render) -> None:
        # The text is rendered when it is published, so that waiting receipts need little memory.
        entry = (due, next(self.order), tuple(topics), render)
        if not self.heap or due < self.heap[0][0]:
            self.wake.set()
        heapq.heappush(self.heap, entry)

    def now(self, topics: Iterable[str], message: str) -> None:
        """Publish at once."""
        self._leave(self.clock.now(), tuple(topics), lambda: message)

    async def run(self) -> None:
        while True:
            self.wake.clear()
            await self._release_due()
            pause = max(self.tick_s, self.heap[0][0] - self.clock.now()) if self.heap else None
            try:
                # Advancing the clock sets `wake`, which ends the wait.
                await asyncio.wait_for(self.wake.wait(), pause)
                await asyncio.sleep(self.tick_s)
            except TimeoutError:
                pass

    async def _release_due(self) -> None:
        while self.release(self.clock.now(), BURST):  # noqa: ASYNC110 - yields to requests, waits for nothing
            await asyncio.sleep(0)

    async def flush(self) -> None:
        """Publish what is due within FLUSH_SECONDS, without waiting for its time; later events are dropped."""
        horizon = self.clock.now() + FLUSH_SECONDS
        while self.release(horizon, BURST):  # noqa: ASYNC110 - yields, waits for nothing
            await asyncio.sleep(0)

    def release(self, until: float, limit: int) -> int:
        """Publish what is due by `until`, at most `limit` events; returns how many."""
        count = 0
        while count < limit and self.heap and self.heap[0][0] <= until:
            due, _, topics, render = heapq.heappop(self.heap)
            self._leave(due, topics, render)
            count += 1
        return count

    def _leave(self, due: float, topics: tuple[str, ...], render: Render) -> None:
        message = render()
        self.emitted += 1
        self.recent.append({"seq": self.emitted, "at": due, "topics": list(topics), "message": message})
        for topic in topics:
            self.publisher.put(topic, message)

    def clear(self) -> int:
        """Drop all pending events."""
        count = len(self.heap)
        self.heap.clear()
        return count
