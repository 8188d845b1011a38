"""Many callers, few calls: what is asked for within a few milliseconds of each other goes out together.

Acks (10), publishes (10), conditional writes (25) and reads (100) all travel this way, so handlers stay plain
functions of one event while the bill is that of a batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class Batcher(Generic[A, R]):
    """``send`` takes up to ``most`` things and returns as many results, in order; a result that is an exception is raised
    to its caller alone, an exception from ``send`` to all of them.

    ``linger`` is how long the first waits for company, in seconds. Two things of one ``key`` never share a call and
    keep their order.
    """

    def __init__(
        self,
        send: Callable[[Sequence[A]], Awaitable[Sequence[R | BaseException]]],
        *,
        most: int,
        linger: float = 0.003,
        key: Callable[[A], Hashable] | None = None,
        weight: Callable[[A], int] | None = None,
        heaviest: int = 0,
    ) -> None:
        self._send = send
        self._most = most
        self._linger = linger
        self._key = key
        self._weight = weight
        self._heaviest = heaviest
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._busy: set[Hashable] = set()
        self._running: set[asyncio.Task[None]] = set()

    async def do(self, thing: A) -> R:
        """Have it done; returns its own result or raises its own error."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((thing, future))
        if len(self._waiting) >= self._most:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_later(self._linger, self._flush)
        return await future

    async def drain(self) -> None:
        """Send what waits and see it through."""
        while self._waiting or self._running:
            self._flush()
            if self._running:
                await asyncio.wait(set(self._running))

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while batch := self._take():
            task = asyncio.get_running_loop().create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _take(self) -> list[tuple[A, asyncio.Future[R]]]:
        """The next batch of things whose keys are not on their way already."""
        batch: list[tuple[A, asyncio.Future[R]]] = []
        rest: list[tuple[A, asyncio.Future[R]]] = []
        held: set[Hashable] = set()
        weight = 0
        for thing, future in self._waiting:
            if future.cancelled():
                continue
            key = self._key(thing) if self._key else None
            cost = self._weight(thing) if self._weight else 0
            full = len(batch) >= self._most or (batch and self._heaviest and weight + cost > self._heaviest)
            if full or (key is not None and (key in self._busy or key in held)):
                rest.append((thing, future))
                if key is not None:
                    held.add(key)
                continue
            if key is not None:
                self._busy.add(key)
            weight += cost
            batch.append((thing, future))
        self._waiting = rest
        return batch

    async def _run(self, batch: list[tuple[A, asyncio.Future[R]]]) -> None:
        results: Sequence[R | BaseException]
        try:
            results = await self._send([thing for thing, _ in batch])
        except BaseException as error:
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
        if self._key:
            self._busy.difference_update(self._key(thing) for thing, _ in batch)
        if self._waiting:
            self._flush()
