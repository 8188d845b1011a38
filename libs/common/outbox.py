"""The outbox: what an accepted request or a tick says is kept in its ledger row, in one transaction with its writes, and
published afterwards. What could never be published is refused before it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import structlog

from libs.common.bus.base import Letter, Record
from libs.common.bus.batches import EntryFailed
from libs.common.clock import drawn_id, iso
from libs.common.context import Context
from libs.common.errors import Malformed, UnknownVersion
from libs.common.event import Envelope, following
from libs.common.ledger import LEDGER_DAYS, OUTBOX_SECONDS, LedgerEntry
from libs.common.log import describe
from libs.common.packing import MAX_EVENT_BYTES, Unpublishable, encode
from libs.common.runtime import Runtime
from libs.common.service import Service
from libs.common.spread import shard_for
from libs.common.store.ops import Op, TransactionConflict, When

#: The outbox is spread over so many index keys, that none sees too many writes.
OUTBOX_SHARDS = 4
#: DynamoDB: an item has at most 409,600 bytes with its attribute names.
MAX_ROW_BYTES = 400_000
PAGE_ROWS = 100

log = structlog.get_logger()


def entry_of(
    context: Context,
    key: str,
    said: Sequence[Envelope],
    *,
    pending: bool = False,
    fingerprint: str | None = None,
    answer: dict[str, Any] | None = None,
) -> LedgerEntry:
    """The ledger row of one cause. Raises :class:`Unpublishable` for what no topic and no row takes."""
    entry = LedgerEntry(
        id=key,
        at=context.now,
        said=[envelope.to_wire() for envelope in said],
        fingerprint=fingerprint,
        answer=answer,
        pending=str(shard_for(key, OUTBOX_SHARDS)) if pending and said else None,
        expires_at=int((context.now + timedelta(days=LEDGER_DAYS)).timestamp()),
    )
    _check(entry, said)
    return entry


def _check(entry: LedgerEntry, said: Sequence[Envelope]) -> None:
    try:
        size = len(orjson.dumps([entry.said, entry.answer]))
    except (TypeError, ValueError, RecursionError):
        size = MAX_ROW_BYTES
    if size <= MAX_EVENT_BYTES // 2:
        # Even with every character escaped no event of it is too large.
        return
    for envelope in said:
        encode(envelope)
    if size >= MAX_ROW_BYTES:
        raise Unpublishable("ledger", f"it is {size} bytes with its answer; {MAX_ROW_BYTES} are possible", size)


async def commit(context: Context, entry: LedgerEntry, writes: Sequence[Op] | None = None) -> bool:
    """All the writes and the ledger row, or nothing: False when a condition did not hold."""
    staged = context.staged if writes is None else writes
    try:
        await context.store.transact([*staged, context.insert(entry)], token=drawn_id())
    except TransactionConflict:
        return False
    return True


async def publish_outbox(runtime: Runtime, context: Context, entry: LedgerEntry, said: Sequence[Envelope]) -> None:
    """Publish what an accepted request or a tick says and take it out of the outbox. If the bus is down the row stays
    pending and the sweep publishes it later: what was accepted is never lost."""
    if not said:
        return
    try:
        await runtime.bus.publish(said)
    except Exception as error:
        log.warning("publish failed; the sweep will do it", entry=entry.id, error=type(error).__name__)
        return
    await _done(context, entry)


async def _done(context: Context, entry: LedgerEntry) -> None:
    await context.write(
        context.update(LedgerEntry, entry.id, set={}, remove=("pending",), when=(When("id", "present"),))
    )


async def sweep_outbox(runtime: Runtime, service: Service) -> int:
    """Publish what was accepted but not yet published, oldest first; returns how many rows. Runs every few seconds in
    each process of a service that keeps a ledger, on Lambda by a schedule; publishing twice is harmless, the ids are the same.
    A row that cannot be published does not hold up those behind it."""
    context = runtime.context(service)
    before = iso(context.now - timedelta(seconds=OUTBOX_SECONDS))
    swept = 0
    for shard in range(OUTBOX_SHARDS):
        cursor = None
        while True:
            page = await context.query(
                LedgerEntry, str(shard), index="by-pending", between=("0", before), limit=PAGE_ROWS, cursor=cursor
            )
            swept += sum(await asyncio.gather(*(_sweep(runtime, context, entry) for entry in page.items)))
            cursor = page.cursor
            if cursor is None:
                break
    return swept


async def _sweep(runtime: Runtime, context: Context, entry: LedgerEntry) -> bool:
    """Whether the row is done with: published, or set aside as a dead letter because it is refused for good."""
    try:
        said = [Envelope.from_wire(wire) for wire in entry.said]
    except (Malformed, UnknownVersion) as error:
        # Another build's event: that build, or a later one, publishes it.
        log.error("an event of the outbox cannot be read by this build", entry=entry.id, why=describe(error))
        return False
    results = await asyncio.gather(*(runtime.bus.publish([each]) for each in said), return_exceptions=True)
    passing = [each for each in results if isinstance(each, BaseException) and not _for_good(each)]
    if passing:
        log.warning("not published; the next sweep will do it", entry=entry.id, error=type(passing[0]).__name__)
        return False
    try:
        for envelope, result in zip(said, results, strict=True):
            if isinstance(result, BaseException):
                await _set_aside(runtime, context, envelope, result)
        await _done(context, entry)
    except Exception as error:
        log.error(
            "not set aside; the next sweep will do it", entry=entry.id, error=type(error).__name__, why=describe(error)
        )
        return False
    return True


def _for_good(error: BaseException) -> bool:
    return isinstance(error, Unpublishable) or (isinstance(error, EntryFailed) and error.for_good)


async def _set_aside(runtime: Runtime, context: Context, envelope: Envelope, error: BaseException) -> None:
    """A dead letter of the service itself, and whatever the service makes of it."""
    service = context.service
    log.error(
        "refused for good; it is a dead letter now", event_id=envelope.id, event_type=envelope.type, why=describe(error)
    )
    if service.gives_up is not None:
        cause = envelope.as_cause()
        facts = await service.gives_up(envelope.data, runtime.context(service, cause)) or ()
        said = following(cause, facts, source=service.name, now=context.now)
        if said:
            await runtime.bus.publish(said)
    lanes = service.lanes()
    if not lanes:
        return
    queue = context.names.queue(service.name, lanes[0])
    record = Record(queue, envelope.id, orjson.dumps(envelope.to_wire(), default=str).decode(), envelope.attributes())
    letter = Letter(
        cause="unpublishable",
        exception=type(error).__name__,
        text=describe(error),
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
    await runtime.bus.bury(record, letter)
