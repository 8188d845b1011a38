"""What the messages of a chunk have in common with those that come alone, and how they end together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import TypeVar

from libs.common.declare.event import Event
from libs.common.errors import Conflict, RetryLater
from libs.common.handle.context import Context
from libs.messaging.events.bulk import Addressee, ChunkCalledBack, ChunkReleased
from libs.messaging.events.messages import MessageQueued
from libs.messaging.vocabulary import Status
from services.outbound.ledger import transitions
from services.outbound.ledger.model import Delivery
from services.outbound.ledger.writes import follow, known, record, write

#: Outcomes are recorded together; one that lets others wait this long is recorded on its own.
GATHER_SECONDS = 0.3

T = TypeVar("T")


def queued(event: ChunkReleased, who: Addressee) -> MessageQueued:
    return MessageQueued(
        message_id=who.message_id,
        contact_id=who.contact_id,
        channel=event.channel,
        message_class=event.message_class,
        purpose=event.purpose,
        sender=event.sender,
        content=event.content,
        queued_at=event.released_at,
        expires_at=event.expires_at,
        job_id=event.job_id,
        job_ref=who.ref,
    )


async def followed(row: Delivery, ctx: Context) -> Sequence[Event]:
    """What is known of it is said again. A claim that another worker still holds is that worker's, and then the sweeper's."""
    if row.status is Status.CLAIMED and row.deadline is not None and ctx.now < row.deadline:
        return ()
    try:
        return await follow(row, ctx)
    except Conflict:
        return ()


async def as_is(claim: Delivery, ended: Delivery) -> tuple[Delivery, Delivery]:
    return claim, ended


async def recorded(ends: Sequence[asyncio.Future[tuple[Delivery, Delivery]]], ctx: Context) -> list[Event]:
    """Record outcomes, many at once; who takes long does not keep the others from being recorded."""
    events: list[Event] = []
    waiting = set(ends)
    while waiting:
        done, waiting = await asyncio.wait(waiting, timeout=GATHER_SECONDS)
        events += await together(record(*end.result(), ctx) for end in done)
    return events


async def together(work: Iterable[Awaitable[Sequence[T]]]) -> list[T]:
    return [each for some in await asyncio.gather(*work) for each in some]


async def called_back(event: ChunkCalledBack, ctx: Context) -> Sequence[Event]:
    """What waits here for its time does not wait any longer; what is claimed by now, or further, goes its way."""
    rows = await asyncio.gather(*(ctx.get(Delivery, message_id) for message_id in event.message_ids))
    return await together(_cancelled(row, ctx) for row in rows if row is not None)


async def _cancelled(row: Delivery, ctx: Context) -> Sequence[Event]:
    if row.status is not Status.DEFERRED:
        return known(row) if row.status is Status.CANCELLED else ()
    try:
        return await write(row, transitions.cancelled(row, ctx.now), ctx)
    except RetryLater:
        # Its time has just come, and it is claimed.
        return ()
