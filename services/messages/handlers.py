"""Event handlers of ``messages``. All writes are conditional: the row decides whether a report is new.

A redelivered report publishes the same events again, because the first attempt may have stopped between the write and
the publishing. A late report publishes nothing. Therefore each step records the event that caused it.
"""

from __future__ import annotations

import asyncio

import structlog
from cachetools import LRUCache

from libs.common.declare.event import Event
from libs.common.handle.context import Context
from libs.common.store.ops import When
from libs.common.store.per_store import PerStore
from libs.messaging.channels import Channel
from libs.messaging.content import Content, Reaction
from libs.messaging.events.contacts import ContactWroteIn
from libs.messaging.events.dlq import LetterKept
from libs.messaging.events.inbound import ReceiptReceived
from libs.messaging.events.messages import StandingTold
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.vocabulary import RANK, Direction, Status
from services.messages.fold import Report, change, follows
from services.messages.lookup import bind, owner_of
from services.messages.model import Conversation, Message, Moment, conversation_after, kept_until
from services.messages.reports import is_ours, message_from, record, reported_on, wait_or_give_up

#: Maximum number of messages in a process's LRU cache.
MAX_CACHED_MESSAGES = 2000

log = structlog.get_logger()
#: Messages whose sending this process recorded. Used for the facts that never change, such as the contact.
_recently_published: PerStore[LRUCache[str, Message]] = PerStore(lambda: LRUCache(MAX_CACHED_MESSAGES))


async def store_inbound(event: ContactWroteIn, ctx: Context) -> list[Event]:
    """Stores an inbound message. The message that it answers is found by the provider's id."""
    received = Moment(
        what=Status.RECEIVED, at=event.received_at, source="customer", cause=ctx.required_cause.id, moved=True
    )
    answered, content = await asyncio.gather(
        owner_of(ctx, event.channel, event.in_reply_to), _with_our_ids(ctx, event.channel, event.content)
    )
    message = Message(
        message_id=event.message_id,
        contact_id=event.contact_id,
        channel=event.channel,
        direction=Direction.INBOUND,
        content=content.model_dump(mode="json", by_alias=True, exclude_none=True),
        status=Status.RECEIVED,
        rank=RANK[Status.RECEIVED],
        provider_id=event.provider_message_id,
        sender=event.received_by or event.to,
        to=event.to,
        in_reply_to=answered or event.in_reply_to,
        created_at=event.received_at,
        expires_at=kept_until(event.received_at),
    ).with_step(received)
    await bind(ctx, event.channel, event.provider_message_id, event.message_id)
    written = await ctx.write(ctx.insert(message))
    await touch_conversation(ctx, message)
    if written:
        return follows(message, received)
    first = Message.from_row(written.row or {}).steps.get(received.slot())
    return follows(message, first) if first and first.cause == received.cause else []


async def _with_our_ids(ctx: Context, channel: Channel, content: Content) -> Content:
    """Replaces the provider's message id in a reaction by our id, if it is known."""
    if not isinstance(content, Reaction):
        return content
    ours = await owner_of(ctx, channel, content.message_id)
    return content.model_copy(update={"message_id": ours}) if ours else content


async def touch_conversation(ctx: Context, message: Message) -> None:
    known = await ctx.get(Conversation, message.contact_id, message.channel)
    updated = conversation_after(known, message)
    if updated is not None:
        await ctx.save(updated, over=known)


async def fold_delivery(event: DeliveryChanged, ctx: Context) -> list[Event]:
    """Records a sender's report. The event has enough facts to try the write before any read."""
    moment = Moment(
        what=event.status,
        at=event.at,
        source="sender",
        cause=ctx.required_cause.id,
        attempt=event.attempt,
        code=event.error_code,
        provider_code=event.provider_code,
        detail=event.detail,
        not_before=event.not_before,
        notes=event.notes,
    )
    facts = {"providerId": event.provider_id, "sender": event.sender, "dryRun": event.dry_run or None}
    report = Report(event.status, moment, {name: value for name, value in facts.items() if value is not None})
    if event.provider_id:
        await bind(ctx, event.channel, event.provider_id, event.message_id)
    expected = message_from(event)
    if event.job_id is not None:
        # The sender's first report creates the row of a job's message: one write per recipient.
        first = change(expected, report)
        made = Message.from_row({**expected.to_row(), **first.set})
        written = await ctx.write(ctx.insert(made))
    else:
        first = change(expected, report)
        written = await ctx.write(
            ctx.update(Message, event.message_id, set=first.set, remove=first.remove, when=first.when)
        )
    if written:
        _recently_published.of(ctx.store)[event.message_id] = expected
        return follows(expected, first.moment)
    if written.row is None:
        return await wait_or_give_up(ctx, event.channel, event.message_id, event.status)
    return await record(ctx, Message.from_row(written.row), report)


async def fold_receipt(event: ReceiptReceived, ctx: Context) -> list[Event]:
    """Records a provider's receipt. A status that is not in our vocabulary is recorded as a note and changes no
    status."""
    report = _report(event, ctx)
    recent = _recently_published.of(ctx.store).get(event.message_id) if event.message_id else None
    if recent is not None and is_ours(recent, event.channel):
        return await _fold_unread(recent, event, report, ctx)
    message = await reported_on(ctx, event)
    if message is None:
        return await wait_or_give_up(ctx, event.channel, event.provider_id, event.status)
    if message.reported_id != event.provider_id:
        await bind(ctx, event.channel, event.provider_id, message.message_id)
    return await record(ctx, message, report)


async def _fold_unread(recent: Message, event: ReceiptReceived, report: Report, ctx: Context) -> list[Event]:
    """The usual case: the message is sent and its contact is cached, so no read is needed. If the write is refused, the
    row in the answer has the state."""
    if recent.reported_id != event.provider_id:
        await bind(ctx, event.channel, event.provider_id, recent.message_id)
        recent = recent.model_copy(update={"reported_id": event.provider_id})
        _recently_published.of(ctx.store)[recent.message_id] = recent
    expected = recent.model_copy(update={"status": Status.SENT, "rank": RANK[Status.SENT]})
    new = change(expected, report)
    sent = When("rank", ">=", expected.rank)
    written = await ctx.write(
        ctx.update(Message, recent.message_id, set=new.set, remove=new.remove, when=(*new.when, sent))
    )
    if written:
        return follows(expected, new.moment)
    if written.row is None:
        return await wait_or_give_up(ctx, event.channel, event.provider_id, event.status)
    return await record(ctx, Message.from_row(written.row), report)


def _report(event: ReceiptReceived, ctx: Context) -> Report:
    moment = Moment(
        what="note" if event.status is Status.UNKNOWN else event.status,
        at=event.at,
        source="provider",
        cause=ctx.required_cause.id,
        code=event.error_code,
        provider_code=event.provider_code,
        provider_status=event.provider_status,
        detail=event.error_detail,
    )
    return Report(event.status, moment, {"reportedId": event.provider_id}, event.provider_id)


async def tell_standing(event: LetterKept, ctx: Context) -> list[Event]:
    """Publishes a message's current status when a dead letter about it is stored: whoever handles the dead letter needs
    it."""
    message = await ctx.get(Message, event.message_id) if event.message_id else None
    if message is None:
        return []
    return [StandingTold(message_id=message.message_id, channel=message.channel, status=message.status, at=ctx.now)]
