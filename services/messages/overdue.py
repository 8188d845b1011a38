"""Settles accepted messages whose outcome is missing: no report from the sender, or an event that no topic accepts."""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.common.clock import iso
from libs.common.declare.event import Event
from libs.common.declare.service import TickAction
from libs.common.handle.context import Context
from libs.common.store.ops import When
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import CancelAsked, MessageQueued
from libs.messaging.vocabulary import RANK, Status
from services.messages.fold import Report, change, follows
from services.messages.model import OPEN_SHARDS, Message, Moment

TICK_SECONDS = 60


async def settle_overdue(ctx: Context) -> AsyncIterator[TickAction]:
    """Sets messages to ``unknown`` 15 minutes after their time to live if no sender has reported more than
    ``deferred``.

    Not to ``expired``: that would state that they were not sent, which only the sender's ledger knows. A later report
    of the sender, and any receipt, still changes the status.
    """
    for shard in range(OPEN_SHARDS):
        page = await ctx.query(Message, str(shard), index="by-open", between=("0", iso(ctx.now)), limit=100)
        for message in page.items:
            # The index is eventually consistent.
            if message.rank > RANK[Status.DEFERRED] or message.open is None:
                continue
            key = message.message_id
            moment = Moment(what=Status.UNKNOWN, at=ctx.now, source="auditor", cause=key, code=ErrorCode.NOT_CONFIRMED)
            new = change(message, Report(Status.UNKNOWN, moment))
            when = (*new.when, When("open", "present"), When("rank", "<=", RANK[Status.DEFERRED]))
            write = ctx.update(Message, key, set=new.set, remove=new.remove, when=when)
            yield TickAction(key, (write,), tuple(follows(message, new.moment)))


async def fail_unpublishable(event: Event, ctx: Context) -> list[Event]:
    """Sets a message to failed if no topic accepts its ``messages.queued``: it never reaches a sender."""
    if not isinstance(event, MessageQueued):
        return []
    message = await ctx.get(Message, event.message_id)
    if message is None:
        return []
    moment = Moment(
        what=Status.FAILED, at=ctx.now, source="auditor", cause=message.message_id, code=ErrorCode.INVALID_CONTENT
    )
    new = change(message, Report(Status.FAILED, moment))
    when = (*new.when, When("rank", "<=", RANK[Status.QUEUED]))
    written = await ctx.write(ctx.update(Message, message.message_id, set=new.set, remove=new.remove, when=when))
    failed: Moment | None = new.moment
    if not written:
        # Another sweep wrote first, or a sender has the message.
        now = await ctx.get(Message, message.message_id)
        failed = now.steps.get(moment.slot()) if now else None
    if failed is None or failed.cause != moment.cause:
        return []
    return [*follows(message, failed), _cancel(event, ctx)]


def _cancel(event: MessageQueued, ctx: Context) -> CancelAsked:
    """Cancels the message at the sender: a failed message must stay unsent, even if its dead letter is edited and
    replayed."""
    return CancelAsked(
        message_id=event.message_id,
        contact_id=event.contact_id,
        channel=event.channel,
        message_class=event.message_class,
        at=ctx.now,
    )
