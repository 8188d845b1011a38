"""The transactional outbox: the events of an accepted request or a tick are stored in its ledger row, in one transaction with
its writes, and published afterwards. An event that could never be published is refused before the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import structlog

from libs.common.bus.base import DeadLetter, Record
from libs.common.bus.batch_calls import EntryFailed
from libs.common.bus.encoding import MAX_EVENT_BYTES, Unpublishable, encode
from libs.common.clock import iso, random_id
from libs.common.declare.event import Envelope, following
from libs.common.declare.ledger import LEDGER_DAYS, MAX_RETRY_SECONDS, OUTBOX_SECONDS, LedgerEntry
from libs.common.declare.service import Service
from libs.common.errors import Malformed, Poison, UnknownVersion
from libs.common.handle.context import Context
from libs.common.handle.runtime import Runtime
from libs.common.json_text import sendable
from libs.common.observe.log import describe
from libs.common.stable_hash import shard_for
from libs.common.store.ops import Op, TransactionConflict, When

#: The number of index keys over which the outbox is sharded.
OUTBOX_SHARDS = 4
#: Events and answer as JSON: the ledger row has further members, and an item has at most :data:`~libs.common.store.values.MAX_ROW_BYTES`.
MAX_ENTRY_BYTES = 400_000
PAGE_ROWS = 100
#: An event that is too large for a dead letter keeps only fields of at most so many bytes.
MAX_KEPT_BYTES = 250
#: The cause of a dead letter that is an outbox event which no topic accepts, and the attribute that marks it: a replay
#: publishes it to its topic instead of handling it.
UNPUBLISHABLE = "unpublishable"
OUTBOX_MARK = "outbox"

log = structlog.get_logger()


def entry_of(
    context: Context,
    key: str,
    events: Sequence[Envelope],
    *,
    pending: bool = False,
    fingerprint: str | None = None,
    answer: dict[str, Any] | None = None,
) -> LedgerEntry:
    """The ledger row of one cause. Raises :class:`Unpublishable` if an event is too large for any topic, or the row is too large."""
    entry = LedgerEntry(
        id=key,
        at=context.now,
        said=[envelope.to_wire() for envelope in events],
        fingerprint=fingerprint,
        answer=answer,
        pending=str(shard_for(key, OUTBOX_SHARDS)) if pending and events else None,
        expires_at=int((context.now + timedelta(days=LEDGER_DAYS)).timestamp()),
    )
    _check(entry, events)
    return entry


def _check(entry: LedgerEntry, events: Sequence[Envelope]) -> None:
    try:
        size = len(orjson.dumps([entry.said, entry.answer]))
    except (TypeError, ValueError, RecursionError):
        size = MAX_ENTRY_BYTES
    if size <= MAX_EVENT_BYTES // 2:
        # Small enough even if every character is escaped.
        return
    for envelope in events:
        encode(envelope)
    if size >= MAX_ENTRY_BYTES:
        raise Unpublishable("ledger", f"it is {size} bytes with its answer; {MAX_ENTRY_BYTES} are possible", size)


async def commit(context: Context, entry: LedgerEntry, writes: Sequence[Op] | None = None) -> bool:
    """Commit all writes and the ledger row in one transaction; False if a condition did not hold."""
    staged = context.staged if writes is None else writes
    try:
        await context.store.transact([*staged, context.insert(entry)], token=random_id())
    except TransactionConflict:
        return False
    return True


async def publish_outbox(runtime: Runtime, context: Context, entry: LedgerEntry, events: Sequence[Envelope]) -> None:
    """Publish the events of an accepted request or a tick and remove the row from the outbox. If the bus is down, the row stays
    pending and the sweep publishes it later."""
    if not events:
        return
    try:
        await runtime.bus.publish(events)
    except Exception as error:
        log.warning("publish failed; the sweep will do it", entry=entry.id, error=type(error).__name__)
        return
    await _done(context, entry)


async def _done(context: Context, entry: LedgerEntry) -> None:
    await context.write(
        context.update(LedgerEntry, entry.id, set={}, remove=("pending",), when=(When("id", "present"),))
    )


async def sweep_outbox(runtime: Runtime, service: Service) -> int:
    """Publish pending rows, oldest first; returns their number. Runs every few seconds in each process of a service with a
    ledger, on Lambda by a schedule. Publishing twice is harmless, because the ids are the same. A row that cannot be
    published does not delay others."""
    context = runtime.context(service)
    return sum(await asyncio.gather(*(_sweep_shard(runtime, context, str(shard)) for shard in range(OUTBOX_SHARDS))))


async def _sweep_shard(runtime: Runtime, context: Context, shard: str) -> int:
    before = iso(context.now - timedelta(seconds=OUTBOX_SECONDS))
    swept, cursor = 0, None
    while True:
        page = await context.query(
            LedgerEntry, shard, index="by-pending", between=("0", before), limit=PAGE_ROWS, cursor=cursor
        )
        swept += sum(await asyncio.gather(*(_sweep(runtime, context, entry) for entry in page.items)))
        cursor = page.cursor
        if cursor is None:
            return swept


async def _sweep(runtime: Runtime, context: Context, entry: LedgerEntry) -> bool:
    """Whether the row is finished: published, or dead-lettered because it is refused permanently."""
    try:
        events = [Envelope.from_wire(wire) for wire in entry.said]
        results = await asyncio.gather(*(runtime.bus.publish([each]) for each in events), return_exceptions=True)
        if passing := [each for each in results if isinstance(each, BaseException) and not _for_good(each)]:
            raise passing[0]
        for envelope, result in zip(events, results, strict=True):
            if isinstance(result, BaseException):
                await _set_aside(runtime, context, envelope, result)
        await _done(context, entry)
    except Exception as error:
        # An event of another build is published by that build or a later one.
        unread = isinstance(error, Malformed | UnknownVersion)
        fields = log.error if unread else log.warning
        fields(
            "not published; a later sweep will do it", entry=entry.id, error=type(error).__name__, why=describe(error)
        )
        await _put_off(context, entry)
        return False
    return True


async def _put_off(context: Context, entry: LedgerEntry) -> None:
    """Delay the next attempt; the delay doubles with each failure, and is at most about the time it has already waited."""
    seconds = min(MAX_RETRY_SECONDS, OUTBOX_SECONDS * 2 ** min(entry.attempts, 10))
    due = context.now + timedelta(seconds=seconds - OUTBOX_SECONDS)
    row = {"at": iso(due), "attempts": entry.attempts + 1}
    try:
        await context.write(context.update(LedgerEntry, entry.id, set=row, when=(When("pending", "present"),)))
    except Exception as error:
        log.warning("not put off; the next sweep tries it again", entry=entry.id, error=type(error).__name__)


def _for_good(error: BaseException) -> bool:
    return isinstance(error, Unpublishable) or (isinstance(error, EntryFailed) and error.for_good)


async def _set_aside(runtime: Runtime, context: Context, envelope: Envelope, error: BaseException) -> None:
    """Put the event on the service's own dead-letter queue, and call the service's ``unpublishable`` function."""
    service = context.service
    log.error(
        "refused for good; it is a dead letter now", event_id=envelope.id, event_type=envelope.type, why=describe(error)
    )
    if service.gives_up is not None:
        cause = envelope.as_cause()
        facts = await service.gives_up(envelope.data, runtime.context(service, cause)) or ()
        events = following(cause, facts, source=service.name, now=context.now)
        if events:
            await runtime.bus.publish(events)
    queue = context.names.queue(service.name)
    attributes = {**envelope.attributes(), OUTBOX_MARK: "refused"}
    body, text = _body(envelope), describe(error)
    if len(body) > MAX_EVENT_BYTES:
        body = _body(envelope, MAX_KEPT_BYTES)
        text += f" Only its short fields are kept here; {service.name} keeps the whole in its ledger for {LEDGER_DAYS} days."
    record = Record(queue, envelope.id, body, attributes)
    dead_letter = DeadLetter(
        cause=UNPUBLISHABLE,
        exception=type(error).__name__,
        text=text,
        queue=queue,
        service=service.name,
        handler="outbox",
        build=runtime.settings.build,
        record=replace(record, sent_at=envelope.time),
        event_id=envelope.id,
        event_type=envelope.type,
        correlation_id=envelope.correlation_id,
        died_at=context.now,
    )
    await runtime.bus.dead_letter(record, dead_letter)


def _body(envelope: Envelope, maximum: int = MAX_ENTRY_BYTES) -> str:
    """The event, without the fields that are larger than ``maximum`` bytes each."""
    wire = envelope.to_wire()
    wire["subject"] = wire["subject"][:maximum]
    wire["data"] = {
        name: value for name, value in wire["data"].items() if len(orjson.dumps(value, default=str)) <= maximum
    }
    return sendable(orjson.dumps(wire, default=str).decode())


async def publish_replayed(runtime: Runtime, service: Service, envelope: Envelope) -> None:
    """Publish a replayed dead letter of the outbox. Raises what the bus raises."""
    if type(envelope.data) not in service.facts():
        raise Poison(f"{service.name} does not say {envelope.type}")
    await runtime.bus.publish([envelope])
