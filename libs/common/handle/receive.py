"""Handles one record of a queue: it is acknowledged, redelivered later, requeued or dead-lettered. The same on every host."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from libs.common.bus.base import DeadLetter, Record
from libs.common.clock import monotonic
from libs.common.declare.event import Envelope, unpack
from libs.common.declare.names import Names
from libs.common.declare.service import Feed, On, Service
from libs.common.errors import Malformed, RetryLater
from libs.common.handle.consumer_breaker import ConsumerBreaker
from libs.common.handle.dead_letter_intake import receive_dead_letter
from libs.common.handle.delivery import deliver, deliver_feed
from libs.common.handle.outbox import OUTBOX_MARK, publish_replayed
from libs.common.handle.retry import MoveToDLQ, Plan, Requeue, RetryAfter, plan
from libs.common.handle.runtime import Runtime
from libs.common.json_text import names_in, write_json
from libs.common.observe.log import about, describe, secrets_in, where

log = structlog.get_logger()
_random = random.SystemRandom().random


@dataclass
class _Part:
    """One event of a record (or the whole record if it cannot be parsed) and its error."""

    record: Record
    wire: Any = None
    alone: bool = True
    handler: str = ""
    error: Exception | None = None

    def body(self) -> str:
        """The event as a separate message; the whole record if the event cannot be encoded (consumers recognise its other events
        as duplicates by their ids)."""
        if self.alone:
            return self.record.body
        try:
            return write_json(self.wire)
        except (RecursionError, ValueError):
            return self.record.body


async def receive(runtime: Runtime, service: Service, record: Record, breaker: ConsumerBreaker | None = None) -> bool:
    """Handle all events of the record. True: it is finished (failed events are dead-lettered or requeued). False: it is
    redelivered. Raises only errors of the bus; then it is redelivered too."""
    token = about.set({"service": service.name, "queue": record.queue, "record": record.id})
    try:
        if service.hears_dead_letters and record.queue != Names(runtime.settings.prefix).source_queue(record.queue):
            return await receive_dead_letter(runtime, service, record)
        parts = await _handle(runtime, service, record)
        failed = [part for part in parts if part.error is not None]
        # Malformed input does not count as a failure of the consumer: a sender must not be able to stop a queue.
        faults = [part for part in failed if not isinstance(part.error, RetryLater | Malformed)]
        breaker_open = breaker is not None and breaker.open
        if breaker and (faults or len(failed) < len(parts)):
            breaker.record(len(parts) - len(failed), len(faults), monotonic(), _named(faults), record.id)
            # A record that opens the consumer breaker alone is not dead-lettered until it has failed as often
            # as any other: it may be one batch of poison events among valid records.
            breaker_open = breaker.open and (
                breaker_open or len(parts) == 1 or record.receive_count < runtime.settings.max_attempts
            )
        return await _settle(runtime, service, record, failed, breaker_open)
    finally:
        about.reset(token)


def _named(faults: list[_Part]) -> str:
    """The last fault, by name."""
    return f"{type(faults[-1].error).__name__} in {faults[-1].handler or 'reading it'}" if faults else ""


async def _handle(runtime: Runtime, service: Service, record: Record) -> list[_Part]:
    route = _route(service, runtime.settings.prefix, record.queue)
    if isinstance(route, Feed):
        whole = _Part(record, handler=route.name)
        await _try(whole, deliver_feed(runtime, service, route, record))
        return [whole]
    try:
        wires = unpack(record.body)
    except Malformed as error:
        return [_Part(record, error=error)]
    parts = [_Part(record, wire, alone=len(wires) == 1) for wire in wires]
    if len(parts) == 1:
        await _dispatch(runtime, service, route, parts[0])
    else:
        await asyncio.gather(*(_dispatch(runtime, service, route, part) for part in parts))
    return parts


async def _dispatch(runtime: Runtime, service: Service, lane: str, part: _Part) -> None:
    try:
        envelope = Envelope.from_wire(part.wire)
    except Exception as error:
        part.error = error
        return
    if OUTBOX_MARK in part.record.attributes:
        await _try(part, publish_replayed(runtime, service, envelope), OUTBOX_MARK)
        return
    attributes = envelope.attributes()
    heard = [on for on in service.hears if on.lane == lane and envelope.type == on.event.TYPE]
    if not heard:
        log.info("no handler for this event here", event_type=envelope.type)
    wanted = [on for on in heard if on.wants(attributes)]
    if len(wanted) == 1:
        await _hear(runtime, service, wanted[0], envelope, part)
    elif wanted:
        await asyncio.gather(*(_hear(runtime, service, on, envelope, part) for on in wanted))


async def _hear(runtime: Runtime, service: Service, on: On, envelope: Envelope, part: _Part) -> None:
    fields = {"event_id": envelope.id, "event_type": envelope.type, "correlation_id": envelope.correlation_id}
    token = about.set({**about.get(), **fields})
    try:
        await _try(part, deliver(runtime, service, on, envelope), on.handler.__name__)
    finally:
        about.reset(token)


async def _try(part: _Part, work: Awaitable[None], handler: str = "") -> None:
    """If several handlers fail, a fault has priority over RetryLater."""
    try:
        await work
    except Exception as error:
        if part.error is None or isinstance(part.error, RetryLater):
            part.error, part.handler = error, handler or part.handler


async def _settle(runtime: Runtime, service: Service, record: Record, failed: list[_Part], breaker_open: bool) -> bool:
    now, jitter, max_attempts = runtime.clock.now(), _random(), runtime.settings.max_attempts
    plans: list[tuple[_Part, Exception, Plan]] = []
    for part in failed:
        if part.error is not None:
            error = part.error
            try:
                what = plan(error, record.receive_count, now, jitter, max_attempts, breaker_open)
            except Exception as fault:  # e.g. a RetryLater without a time zone: a fault of the handler
                error, what = fault, plan(fault, record.receive_count, now, jitter, max_attempts, breaker_open)
            plans.append((part, error, what))
            _log_failure(part, error, what)
    waits = [what.seconds for _, _, what in plans if isinstance(what, RetryAfter | Requeue)]
    if any(isinstance(what, RetryAfter) for _, _, what in plans):
        # The whole record is redelivered, so no part of it is dead-lettered or requeued now: that would be
        # repeated at each redelivery.
        await runtime.bus.change_visibility(record, min(waits))
        return False
    dead_letters = [
        _to_dead_letter(runtime, service, p, e, what.cause) for p, e, what in plans if isinstance(what, MoveToDLQ)
    ]
    await asyncio.gather(*(runtime.bus.dead_letter(record, dead_letter) for dead_letter in dead_letters))
    later = [part.body() for part, _, what in plans if isinstance(what, Requeue)]
    if later:
        await runtime.bus.requeue(record, later[0] if len(later) == 1 else "[" + ",".join(later) + "]", min(waits))
    else:
        await runtime.bus.ack(record)
    return True


def _log_failure(part: _Part, error: Exception, what: Plan) -> None:
    log_at = {Requeue: log.info, RetryAfter: log.warning, MoveToDLQ: log.error}[type(what)]
    log_at(
        "not handled",
        plan=type(what).__name__.lower(),
        **what.__dict__,
        handler=part.handler,
        attempt=part.record.receive_count,
        error=type(error).__name__,
        why=describe(error, secrets_in(part.wire)),
        where=where(error),
        **names_in(part.wire),
    )


def _to_dead_letter(runtime: Runtime, service: Service, part: _Part, error: Exception, cause: str) -> DeadLetter:
    return DeadLetter(
        cause=cause,
        exception=type(error).__name__,
        text=describe(error, secrets_in(part.wire)),
        queue=part.record.queue,
        service=service.name,
        handler=part.handler,
        build=runtime.settings.build,
        record=replace(part.record, body=part.body()),
        died_at=runtime.clock.now(),
        **names_in(part.wire),
    )


def _route(service: Service, prefix: str, queue: str) -> Feed | str:
    """The role of a queue: a feed, or the name of a lane."""
    names = Names(prefix)
    for lane in service.lanes():
        if names.queue(service.name, lane) == queue:
            return lane
    for feed in service.feeds:
        if names.feed_queue(service.name, feed.name) == queue:
            return feed
    raise LookupError(f"{queue} is no queue of {service.name}")
