"""The worker: takes from its queues all the time, hands each record to a task of its own, and stops without losing any.

Nothing waits for a batch to be whole: while some records of a receive are still being handled, the next are taken.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import structlog

from libs.common.brake import Brake
from libs.common.bus.base import Record
from libs.common.clock import monotonic
from libs.common.event import is_pack
from libs.common.names import Names
from libs.common.receive import receive
from libs.common.room import Room
from libs.common.runtime import Runtime
from libs.common.service import Service
from libs.common.stop import Stop, cancel
from libs.common.ticks import ticks
from libs.common.topology import QueueSpec, queues_of

#: Receives of one queue at the same time, while they come back full.
POLLS = 4
#: Packs (up to a hundred events each) of one queue that are handled at the same time: a storm of news would be in memory all at
#: once otherwise. Two thousand events keep every batch to DynamoDB full.
PACKS = 20
#: Pause after a receive that brought some, but not as many as there was room for.
GATHER_SECONDS = 0.1
#: A poll that a stopping worker finds under way may still be given records; cut off, it would leave them hidden for
#: the whole visibility time. So it is seen through, and this is what it may be late by.
LATE_SECONDS = 1.0
LONGEST_BACKOFF = 15.0
LETTERS = "(dead letters)"

log = structlog.get_logger()
_draw = random.SystemRandom().random


@dataclass
class _Queue:
    service: Service
    spec: QueueSpec
    brake: Brake = field(default_factory=Brake)
    packs: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PACKS))
    polls: int = 0
    polled_at: float = field(default_factory=monotonic)

    @property
    def room(self) -> str:
        """What its records take room from; the dead-letter queues, which are many and mostly empty, share theirs."""
        return LETTERS if self.spec.letters_of else self.spec.name


@dataclass
class _Running:
    record: Record
    queue: _Queue
    hidden_at: float


class Worker:
    """Consumes ``queues`` (all those of ``services``) and, if ``ticking``, does what the services do ``every`` so often, until
    :meth:`stop`. ``poll`` is how long a receive waits on an empty queue, in seconds (the setting, if None)."""

    def __init__(
        self,
        runtime: Runtime,
        services: Sequence[Service],
        queues: Sequence[QueueSpec] | None = None,
        poll: float | None = None,
        *,
        ticking: bool = True,
    ) -> None:
        names, named = Names(runtime.settings.prefix), {service.name: service for service in services}
        if queues is None:
            queues = [spec for service in services for spec in queues_of(names, service)]
        self._runtime = runtime
        self._ticking = services if ticking else ()
        self._poll_seconds = runtime.settings.poll_seconds if poll is None else poll
        self._queues = [_Queue(named[spec.service], spec) for spec in queues]
        self._room = Room(runtime.settings.concurrency, list({queue.room: None for queue in self._queues}))
        self._running: dict[asyncio.Task[None], _Running] = {}
        self._pollers: set[asyncio.Task[None]] = set()
        self._ticks: set[asyncio.Task[None]] = set()
        self._chores: set[asyncio.Task[None]] = set()
        self._stop = Stop()

    def health(self) -> dict[str, Any]:
        """``alive`` while every queue is being asked; how long ago each was, and whether (and why) its brake is on; how many
        requests went to AWS, by service and operation."""
        now = monotonic()
        return {
            "alive": all(queue.polls for queue in self._queues),
            "running": len(self._running),
            "queues": {
                q.spec.name: {"polledSecondsAgo": round(now - q.polled_at, 1), "brake": q.brake.on}
                | ({"why": q.brake.why} if q.brake.on else {})
                for q in self._queues
            },
            "calls": {f"{service}.{name}": n for (service, name), n in sorted(self._runtime.aws.calls.items())},
        }

    def stop(self) -> None:
        """Take nothing more; :meth:`run` returns once what is running is seen through."""
        self._stop.ask()

    async def run(self) -> None:
        heart = asyncio.create_task(self._heartbeat())
        for queue in self._queues:
            self._start_poll(queue)
        for service in self._ticking:
            for ticking in ticks(self._runtime, service, self._stop):
                _keep(self._ticks, ticking)
        log.info("worker started", queues=[queue.spec.name for queue in self._queues])
        try:
            await self._stop.wait()
        finally:
            await self._shut_down()
            heart.cancel()
            log.info("worker stopped")

    async def _shut_down(self) -> None:
        """Stop taking; let what runs finish; show at once what did not; see acks and publishes through."""
        self._stop.ask()
        asked = monotonic()
        if self._pollers:
            await asyncio.wait(self._pollers, timeout=self._poll_seconds + LATE_SECONDS)
        await cancel(self._pollers)
        working = {*self._running, *self._ticks}
        if working:
            left_seconds = self._runtime.settings.drain_seconds - (monotonic() - asked)
            await asyncio.wait(working, timeout=max(0.0, left_seconds))
        left = [running.record for running in self._running.values()]
        await cancel({*self._running, *self._ticks})
        await asyncio.gather(*(self._hide(record, 0) for record in left))
        await self._runtime.bus.drain()

    # -- taking ----------------------------------------------------------------------------------------

    def _start_poll(self, queue: _Queue) -> None:
        queue.polls += 1
        _keep(self._pollers, self._poll(queue, first=queue.polls == 1))

    async def _poll(self, queue: _Queue, first: bool) -> None:
        """The first poll of a queue goes on for ever; others join while receives come back full."""
        errors = 0
        try:
            while not self._stop.asked and (first or not queue.brake.on):
                if await self._braked(queue):
                    continue
                most = self._room.ready(queue.room) or await self._stop.until(self._room.wait(queue.room))
                if not most:
                    return
                most = 1 if queue.brake.on else min(10, most)
                try:
                    records = await self._runtime.bus.receive(queue.spec.name, most, self._poll_seconds if first else 0)
                    errors, queue.polled_at = 0, monotonic()
                except Exception as error:
                    errors += 1
                    log.warning("cannot receive", queue=queue.spec.name, exc_info=error)
                    await self._stop.sleep(_draw() * min(LONGEST_BACKOFF, 0.5 * 2 ** min(errors, 8)))
                    continue
                await self._take(queue, records)
                if len(records) == 10 and queue.polls < POLLS:
                    self._start_poll(queue)
                elif not first and len(records) < most:
                    return
                elif 0 < len(records) < most:
                    # The next ones come together: a message each time would cost a receive, an ack and all that follows.
                    await self._stop.sleep(GATHER_SECONDS)
        finally:
            queue.polls -= 1

    async def _take(self, queue: _Queue, records: Sequence[Record]) -> None:
        if self._stop.asked:
            await asyncio.gather(*(self._hide(record, 0) for record in records))
            return
        braked = queue.brake.on
        if braked:
            # Taken before the brake came on: one is a probe, the others wait.
            await asyncio.gather(*(self._hide(record, queue.brake.pause(monotonic())) for record in records[1:]))
            records = records[:1]
        tasks = [self._start(queue, record) for record in records]
        if braked and tasks:
            await asyncio.wait(tasks)

    async def _braked(self, queue: _Queue) -> bool:
        seconds = queue.brake.pause(monotonic())
        if seconds:
            told = {"queue": queue.spec.name, "why": queue.brake.why, "seconds": round(seconds, 1)}
            log.error("brake: nearly everything fails; probing", **told)
            queue.polled_at = monotonic()
            await self._stop.sleep(seconds)
        return seconds > 0

    # -- handling --------------------------------------------------------------------------------------

    def _start(self, queue: _Queue, record: Record) -> asyncio.Task[None]:
        self._room.enter(queue.room)
        task = asyncio.create_task(self._handle(queue, record))
        self._running[task] = _Running(record, queue, monotonic())
        task.add_done_callback(self._finished)
        return task

    async def _handle(self, queue: _Queue, record: Record) -> None:
        braked = queue.brake.on
        try:
            async with queue.packs if is_pack(record.body) else nullcontext():
                await receive(self._runtime, queue.service, record, queue.brake)
        except Exception as error:
            # The bus failed us; the record shows up again by itself.
            log.error("record not settled", queue=queue.spec.name, record=record.id, exc_info=error)
        if braked and not queue.brake.on:
            log.warning("brake off: one went through", queue=queue.spec.name)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._room.leave(self._running.pop(task).queue.room)

    async def _heartbeat(self) -> None:
        """Keep hidden what is still being handled: nobody else gets it while we are alive."""
        shortest = min((queue.spec.visibility for queue in self._queues), default=30)
        while True:
            await asyncio.sleep(shortest / 6)
            now = monotonic()
            for running in self._running.values():
                if now - running.hidden_at >= running.queue.spec.visibility / 2:
                    running.hidden_at = now
                    _keep(self._chores, self._extend(running))

    async def _extend(self, running: _Running) -> None:
        if not await self._hide(running.record, running.queue.spec.visibility):
            running.hidden_at = 0.0  # again at the next beat

    async def _hide(self, record: Record, seconds: float) -> bool:
        try:
            await self._runtime.bus.hide(record, seconds)
        except Exception as error:
            log.warning("cannot hide a record", queue=record.queue, seconds=seconds, exc_info=error)
            return False
        return True


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    """Start it, and hold it until it is over."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
