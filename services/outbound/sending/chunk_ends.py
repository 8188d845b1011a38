"""The messages of a chunk as single messages, and how their outcomes are recorded together."""

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

#: Outcomes are recorded together; after this long those that are there are recorded without the others.
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
    """Publishes the events of a known row again. A claim that another worker still holds is left to that worker, and then to
    the sweeper."""
    if row.status is Status.CLAIMED and row.deadline is not None and ctx.now < row.deadline:
        return ()
    try:
        return await follow(row, ctx)
    except Conflict:
        return ()


async def as_is(claim: Delivery, ended: Delivery) -> tuple[Delivery, Delivery]:
    return claim, ended


async def recorded(ends: Sequence[asyncio.Future[tuple[Delivery, Delivery]]], ctx: Context) -> list[Event]:
    """Records outcomes, many at once; a send that takes long does not delay the others."""
    events: list[Event] = []
    waiting = set(ends)
    while waiting:
        done, waiting = await asyncio.wait(waiting, timeout=GATHER_SECONDS)
        events += await together(record(*end.result(), ctx) for end in done)
    return events


async def together(work: Iterable[Awaitable[Sequence[T]]]) -> list[T]:
    return [each for some in await asyncio.gather(*work) for each in some]


async def called_back(event: ChunkCalledBack, ctx: Context) -> Sequence[Event]:
    """Cancels messages that are deferred here. Messages that are claimed or further on are not changed."""
    rows = await asyncio.gather(*(ctx.get(Delivery, message_id) for message_id in event.message_ids))
    return await together(_cancelled(row, ctx) for row in rows if row is not None)


async def _cancelled(row: Delivery, ctx: Context) -> Sequence[Event]:
    if row.status is not Status.DEFERRED:
        return known(row) if row.status is Status.CANCELLED else ()
    try:
        return await write(row, transitions.cancelled(row, ctx.now), ctx)
    except RetryLater:
        # Its time has come meanwhile, and it is claimed.
        return ()
