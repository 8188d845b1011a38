"""Nothing accepted may wait for ever: not for a report of its sender, and not for an event that no topic takes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.common.clock import iso
from libs.common.context import Context
from libs.common.event import Event
from libs.common.service import Step
from libs.common.store.ops import When
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageQueued
from libs.messaging.words import RANK, Status
from services.messages.fold import Report, change, follows
from services.messages.model import OPEN_SHARDS, Message, Moment

SECONDS = 60


async def settle_overdue(ctx: Context) -> AsyncIterator[Step]:
    """Messages of which no sender has said more than ``deferred`` 15 minutes after their time to live become ``unknown``.

    Not ``expired``: that would claim that they were not sent, which only the sender's ledger can know. Its word, and any
    receipt, still moves them on.
    """
    for shard in range(OPEN_SHARDS):
        page = await ctx.query(Message, str(shard), index="by-open", between=("0", iso(ctx.now)), limit=100)
        for message in page.items:
            # The index lags behind the row.
            if message.rank > RANK[Status.DEFERRED] or message.open is None:
                continue
            key = message.message_id
            moment = Moment(what=Status.UNKNOWN, at=ctx.now, source="auditor", cause=key, code=ErrorCode.NOT_CONFIRMED)
            new = change(message, Report(Status.UNKNOWN, moment))
            when = (*new.when, When("open", "present"), When("rank", "<=", RANK[Status.DEFERRED]))
            write = ctx.update(Message, key, set=new.set, remove=new.remove, when=when)
            yield Step(key, (write,), tuple(follows(message, new.moment)))


async def fail_unpublishable(event: Event, ctx: Context) -> list[Event]:
    """A message whose ``messages.queued`` no topic takes reaches no sender, now or later: it has failed."""
    message = await ctx.get(Message, event.message_id) if isinstance(event, MessageQueued) else None
    if message is None:
        return []
    moment = Moment(
        what=Status.FAILED, at=ctx.now, source="auditor", cause=message.message_id, code=ErrorCode.INVALID_CONTENT
    )
    new = change(message, Report(Status.FAILED, moment))
    written = await ctx.write(ctx.update(Message, message.message_id, set=new.set, remove=new.remove, when=new.when))
    if not written:
        # Another sweep was first, or the sender knows it after all.
        now = await ctx.get(Message, message.message_id)
        known = now.steps.get(moment.slot()) if now else None
        return follows(message, known) if known and known.cause == moment.cause else []
    return follows(message, new.moment)
