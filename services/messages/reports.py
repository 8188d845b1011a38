"""Reports about messages: finds the message, records the report, and handles a report that precedes its message."""

from __future__ import annotations

from datetime import timedelta

import structlog

from libs.common.clock import iso
from libs.common.declare.event import Event
from libs.common.errors import Conflict, RetryLater
from libs.common.handle.context import Context
from libs.messaging.channels import Channel
from libs.messaging.events.inbound import ReceiptReceived
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.vocabulary import RANK, Direction, Status
from services.messages.fold import Report, change, follows
from services.messages.lookup import owner_of
from services.messages.model import Message, Orphan, kept_until

#: Maximum wait of a report for its message, from the first receipt of the report.
MAX_WAIT = timedelta(minutes=15)
MAX_WAIT_SECONDS = 60

log = structlog.get_logger()


def message_from(event: DeliveryChanged) -> Message:
    """Builds the message from the event's facts, with a rank below every status."""
    return Message(
        message_id=event.message_id,
        contact_id=event.contact_id,
        channel=event.channel,
        direction=Direction.OUTBOUND,
        message_class=event.message_class,
        job_id=event.job_id,
        job_ref=event.job_ref,
        status=Status.QUEUED,
        rank=RANK[Status.QUEUED] - 1,
        created_at=event.at,
        expires_at=kept_until(event.at),
    )


async def reported_on(ctx: Context, event: ReceiptReceived) -> Message | None:
    """Finds the message by our own id if the provider returned it, else by any of the provider's ids."""
    if event.message_id:
        found = await ctx.get(Message, event.message_id)
        if found is not None and is_ours(found, event.channel):
            return found
    for provider_id in (event.provider_id, *event.also_known_as):
        owner = await owner_of(ctx, event.channel, provider_id)
        found = await ctx.get(Message, owner) if owner else None
        if found is not None and is_ours(found, event.channel):
            return found
    return None


def is_ours(message: Message, channel: Channel) -> bool:
    return message.channel is channel and message.direction is Direction.OUTBOUND


async def record(ctx: Context, message: Message, report: Report) -> list[Event]:
    """Records a report on a message that was just read. Returns the events that follow."""
    known = message.steps.get(report.moment.slot())
    if known is not None:
        return follows(message, known) if known.cause == report.moment.cause else []
    new = change(message, report)
    written = await ctx.write(ctx.update(Message, message.message_id, set=new.set, remove=new.remove, when=new.when))
    if not written:
        raise Conflict("another report came first")
    return follows(message, new.moment)


async def wait_or_give_up(ctx: Context, channel: Channel, about: str, status: Status) -> list[Event]:
    """Handles a report whose message is not recorded: raises RetryLater until the maximum wait, then stores it as an
    orphan."""
    cause = ctx.required_cause.id
    orphan = Orphan(
        id=cause, channel=channel, about=about, status=status, first_at=ctx.now, expires_at=kept_until(ctx.now)
    )
    written = await ctx.write(ctx.insert(orphan))
    if not written and written.row is not None:
        orphan = Orphan.from_row(written.row)
    waited = ctx.now - orphan.first_at
    if waited < MAX_WAIT:
        seconds = min(MAX_WAIT_SECONDS, 2 + waited.total_seconds())
        raise RetryLater(ctx.now + timedelta(seconds=seconds), "its message is not recorded yet")
    if orphan.lost is None:
        await ctx.write(ctx.update(Orphan, cause, set={"lost": "lost"}))
        log.warning("orphan report", channel=channel, status=status, first_at=iso(orphan.first_at))
    return []
