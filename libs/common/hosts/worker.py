"""The worker: polls its queues, handles each record in a task, and shuts down without losing records.

It does not wait for a batch to complete: while records of one receive are handled, the next are received.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import structlog

from libs.common.bus.base import Record
from libs.common.clock import monotonic
from libs.common.declare.event import is_pack
from libs.common.declare.names import Names
from libs.common.declare.service import Service
from libs.common.declare.topology import QueueSpec, queues_of
from libs.common.handle.consumer_breaker import ConsumerBreaker
from libs.common.handle.receive import receive
from libs.common.handle.runtime import Runtime
from libs.common.hosts.inflight_limiter import InflightLimiter
from libs.common.hosts.shutdown import ShutdownSignal, cancel
from libs.common.hosts.ticks import ticks

#: Concurrent receives of one queue while they return full batches.
MAX_POLLS_PER_QUEUE = 4
#: Batches (up to a hundred events each) of one queue that are handled at the same time; bounds memory under load. Two thousand
#: events keep every batch to DynamoDB full.
MAX_BATCHES_PER_QUEUE = 20
#: Pause after a receive that returned fewer records than requested, but not none.
GATHER_SECONDS = 0.1
#: A poll in flight at shutdown may still return records; a cancelled one would leave them invisible for the whole visibility
#: timeout. So the worker waits for it, for at most this time.
POLL_GRACE_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 15.0
DEAD_LETTER_QUEUES = "(dead letters)"

log = structlog.get_logger()
_random = random.SystemRandom().random


@dataclass
class _Queue:
    service: Service
    spec: QueueSpec
    breaker: ConsumerBreaker = field(default_factory=ConsumerBreaker)
    batch_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_BATCHES_PER_QUEUE))
    polls: int = 0
    polled_at: float = field(default_factory=monotonic)

    @property
    def limiter_key(self) -> str:
        """The limiter group of its records; the dead-letter queues, which are many and mostly empty, share one."""
        return DEAD_LETTER_QUEUES if self.spec.source_queue else self.spec.name


@dataclass
class _Running:
    record: Record
    queue: _Queue
    extended_at: float


class Worker:
    """Consumes ``queues`` (all those of ``services``) and, if ``ticking``, runs the services' schedules, until
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
        self._limiter = InflightLimiter(
            runtime.settings.concurrency, list({queue.limiter_key: None for queue in self._queues})
        )
        self._running: dict[asyncio.Task[None], _Running] = {}
        self._pollers: set[asyncio.Task[None]] = set()
        self._ticks: set[asyncio.Task[None]] = set()
        self._chores: set[asyncio.Task[None]] = set()
        self._stop = ShutdownSignal()

    def health(self) -> dict[str, Any]:
        """``alive`` while every queue is polled; the age of each last poll, and whether (and why) its consumer breaker is open; the
        number of AWS requests, by service and operation."""
        now = monotonic()
        return {
            "alive": all(queue.polls for queue in self._queues),
            "running": len(self._running),
            "queues": {
                q.spec.name: {"polledSecondsAgo": round(now - q.polled_at, 1), "brake": q.breaker.open}
                | ({"why": q.breaker.why} if q.breaker.open else {})
                for q in self._queues
            },
            "calls": {f"{service}.{name}": n for (service, name), n in sorted(self._runtime.aws.calls.items())},
        }

    def stop(self) -> None:
        """Receive nothing more; :meth:`run` returns once running handlers have finished."""
        self._stop.request()

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
        """Stop receiving; finish running handlers; make unfinished records visible; complete acknowledgements and publishes."""
        self._stop.request()
        stopped_at = monotonic()
        if self._pollers:
            await asyncio.wait(self._pollers, timeout=self._poll_seconds + POLL_GRACE_SECONDS)
        await cancel(self._pollers)
        working = {*self._running, *self._ticks}
        if working:
            left_seconds = self._runtime.settings.drain_seconds - (monotonic() - stopped_at)
            await asyncio.wait(working, timeout=max(0.0, left_seconds))
        left = [running.record for running in self._running.values()]
        await cancel({*self._running, *self._ticks})
        await asyncio.gather(*(self._change_visibility(record, 0) for record in left))
        await self._runtime.bus.drain()

    # -- receiving -------------------------------------------------------------------------------------

    def _start_poll(self, queue: _Queue) -> None:
        queue.polls += 1
        _keep(self._pollers, self._poll(queue, first=queue.polls == 1))

    async def _poll(self, queue: _Queue, first: bool) -> None:
        """The first poll of a queue repeats for ever; others join while receives return full batches."""
        errors = 0
        try:
            while not self._stop.requested and (first or not queue.breaker.open):
                if await self._breaker_open(queue):
                    continue
                maximum = self._limiter.ready(queue.limiter_key) or await self._stop.until(
                    self._limiter.wait(queue.limiter_key)
                )
                if not maximum:
                    return
                maximum = 1 if queue.breaker.open else min(10, maximum)
                try:
                    records = await self._runtime.bus.receive(
                        queue.spec.name, maximum, self._poll_seconds if first else 0
                    )
                    errors, queue.polled_at = 0, monotonic()
                except Exception as error:
                    errors += 1
                    log.warning("cannot receive", queue=queue.spec.name, exc_info=error)
                    await self._stop.sleep(_random() * min(MAX_BACKOFF_SECONDS, 0.5 * 2 ** min(errors, 8)))
                    continue
                await self._take(queue, records)
                if len(records) == 10 and queue.polls < MAX_POLLS_PER_QUEUE:
                    self._start_poll(queue)
                elif not first and len(records) < maximum:
                    return
                elif 0 < len(records) < maximum:
                    # Let the next records accumulate: single receives would cost one request each, also for acknowledgements.
                    await self._stop.sleep(GATHER_SECONDS)
        finally:
            queue.polls -= 1

    async def _take(self, queue: _Queue, records: Sequence[Record]) -> None:
        if self._stop.requested:
            await asyncio.gather(*(self._change_visibility(record, 0) for record in records))
            return
        breaker_open = queue.breaker.open
        if breaker_open:
            # Received before the consumer breaker opened: one is a probe, the others wait.
            await asyncio.gather(
                *(self._change_visibility(record, queue.breaker.pause_seconds(monotonic())) for record in records[1:])
            )
            records = records[:1]
        tasks = [self._start(queue, record) for record in records]
        if breaker_open and tasks:
            await asyncio.wait(tasks)

    async def _breaker_open(self, queue: _Queue) -> bool:
        seconds = queue.breaker.pause_seconds(monotonic())
        if seconds:
            fields = {"queue": queue.spec.name, "why": queue.breaker.why, "seconds": round(seconds, 1)}
            log.error("consumer breaker open: nearly everything fails; probing", **fields)
            queue.polled_at = monotonic()
            await self._stop.sleep(seconds)
        return seconds > 0

    # -- handling --------------------------------------------------------------------------------------

    def _start(self, queue: _Queue, record: Record) -> asyncio.Task[None]:
        self._limiter.acquire(queue.limiter_key)
        task = asyncio.create_task(self._handle(queue, record))
        self._running[task] = _Running(record, queue, monotonic())
        task.add_done_callback(self._finished)
        return task

    async def _handle(self, queue: _Queue, record: Record) -> None:
        breaker_open = queue.breaker.open
        try:
            async with queue.batch_slots if is_pack(record.body) else nullcontext():
                await receive(self._runtime, queue.service, record, queue.breaker)
        except Exception as error:
            # The bus failed; the record becomes visible again by itself.
            log.error("record not settled", queue=queue.spec.name, record=record.id, exc_info=error)
        if breaker_open and not queue.breaker.open:
            log.warning("consumer breaker closed: one went through", queue=queue.spec.name)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._limiter.release(self._running.pop(task).queue.limiter_key)

    async def _heartbeat(self) -> None:
        """Extend the visibility timeout of records that are still being handled."""
        shortest = min((queue.spec.visibility for queue in self._queues), default=30)
        while True:
            await asyncio.sleep(shortest / 6)
            now = monotonic()
            for running in self._running.values():
                if now - running.extended_at >= running.queue.spec.visibility / 2:
                    running.extended_at = now
                    _keep(self._chores, self._extend(running))

    async def _extend(self, running: _Running) -> None:
        if not await self._change_visibility(running.record, running.queue.spec.visibility):
            running.extended_at = 0.0  # retried at the next interval

    async def _change_visibility(self, record: Record, seconds: float) -> bool:
        try:
            await self._runtime.bus.change_visibility(record, seconds)
        except Exception as error:
            log.warning("cannot change a record's visibility", queue=record.queue, seconds=seconds, exc_info=error)
            return False
        return True


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    """Start a task, and keep a reference until it ends."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
