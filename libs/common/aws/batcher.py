"""Batches concurrent calls: requests of many callers within a few milliseconds share one call.

Acknowledgements (10), publishes (10), conditional writes (25) and reads (100) use it, so handlers remain functions of one
event and the cost is that of batches.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")


@dataclass(eq=False, slots=True)
class _Asked(Generic[A, R]):
    thing: A
    future: asyncio.Future[R]
    key: Hashable
    weight: int


class Batcher(Generic[A, R]):
    """``send`` takes up to ``maximum`` entries and returns as many results, in order. A result that is an exception is raised
    to its caller only, an exception from ``send`` to all callers.

    ``linger`` is how long the first entry waits for others, in seconds. While ``concurrency`` calls are in flight only full
    batches are sent: under load batches fill, and without load nothing waits (0: no such limit). Two entries of one ``key``
    never share a call and keep their order. The entries of a call weigh at most ``max_weight``; a heavier one is sent alone.
    """

    def __init__(
        self,
        send: Callable[[Sequence[A]], Awaitable[Sequence[R | BaseException]]],
        *,
        maximum: int,
        linger: float = 0.003,
        concurrency: int = 0,
        key: Callable[[A], Hashable] | None = None,
        weight: Callable[[A], int] | None = None,
        max_weight: int = 0,
    ) -> None:
        self._send = send
        self._maximum = maximum
        self._linger = linger
        self._concurrency = concurrency
        self._key = key
        self._weight = weight
        self._max_weight = max_weight
        self._ready: list[_Asked[A, R]] = []
        #: Keys with an entry that is ready or in flight; further entries of the key wait in order.
        self._lines: dict[Hashable, deque[_Asked[A, R]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def do(self, thing: A) -> R:
        """Add an entry to a batch; returns its result or raises its error."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        # Weighed here, so that an entry that cannot be weighed fails alone and not with its batch.
        request_facts = _Asked(
            thing, future, self._key(thing) if self._key else None, self._weight(thing) if self._weight else 0
        )
        if request_facts.key is not None and request_facts.key in self._lines:
            self._lines[request_facts.key].append(request_facts)
        else:
            if request_facts.key is not None:
                self._lines[request_facts.key] = deque()
            self._ready.append(request_facts)
            self._pulse()
        return await future

    async def drain(self) -> None:
        """Send waiting entries and wait for all calls."""
        while self._ready or self._running:
            self._flush()
            if self._running:
                await asyncio.wait(set(self._running))

    def _pulse(self) -> None:
        """Send full batches at once, the rest after ``linger``."""
        while len(self._ready) >= self._maximum:
            self._start()
        if self._ready and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._linger, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._ready and (not self._concurrency or len(self._running) < self._concurrency):
            self._start()

    def _start(self) -> None:
        """Send one batch of ready entries; an entry whose caller was cancelled is dropped."""
        batch: list[_Asked[A, R]] = []
        rest: list[_Asked[A, R]] = []
        gone: list[_Asked[A, R]] = []
        load = 0
        for request_facts in self._ready:
            if request_facts.future.cancelled():
                gone.append(request_facts)
            elif len(batch) >= self._maximum or (
                batch and self._max_weight and load + request_facts.weight > self._max_weight
            ):
                rest.append(request_facts)
            else:
                load += request_facts.weight
                batch.append(request_facts)
        self._ready = rest
        self._release(gone)
        if batch:
            task = asyncio.get_running_loop().create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._concurrency and self._ready and len(self._running) < self._concurrency:
            self._flush()  # their linger time is over

    def _release(self, done: Iterable[_Asked[A, R]]) -> None:
        """Make the next waiting entry of each key ready."""
        for key in (request_facts.key for request_facts in done if request_facts.key is not None):
            line = self._lines.get(key)
            while line and line[0].future.cancelled():
                line.popleft()
            if line:
                self._ready.append(line.popleft())
            else:
                self._lines.pop(key, None)

    async def _run(self, batch: list[_Asked[A, R]]) -> None:
        results: Sequence[R | BaseException]
        try:
            results = await self._send([request_facts.thing for request_facts in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for {len(batch)} entries")
        except BaseException as error:
            results = [error] * len(batch)
        for request_facts, result in zip(batch, results, strict=True):
            if request_facts.future.done():
                continue
            if isinstance(result, BaseException):
                request_facts.future.set_exception(result)
            else:
                request_facts.future.set_result(result)
        self._release(batch)
        self._pulse()
