"""An operator's decisions about an existing message: resend, cancel, delete. Each is one transaction with its event.

Whether a message was already sent is known only to its sender; that decision is requested from the sender.
"""

from __future__ import annotations

from libs.common.clock import iso
from libs.common.errors import Problem
from libs.common.handle.context import Context, Done
from libs.common.store.item import Row
from libs.common.store.ops import When
from libs.messaging import template_copy
from libs.messaging.checks import SendFacts
from libs.messaging.events.messages import CancelAsked, MessageDeleted
from libs.messaging.templates import purpose_of
from libs.messaging.vocabulary import Direction, Status
from services.messages.acceptance import CONTENT, check, queued_event, standing_of, time_to_live_ends, worded
from services.messages.lookup import message_by_id
from services.messages.model import Message, Moment, file_slot
from services.messages.views import MessageView, message_view

#: Statuses in which a message cannot be deleted: its sender may be about to send it.
UNDERWAY = frozenset({Status.QUEUED, Status.DEFERRED, Status.CLAIMED})


async def resend_message(ctx: Context, message_id: str) -> Done[MessageView]:
    """Sends a message with an uncertain outcome again, on an operator's decision: the same message, counted and
    recorded."""
    message = await message_by_id(ctx, message_id)
    if message.status not in (Status.UNCERTAIN, Status.UNKNOWN) or message.direction is not Direction.OUTBOUND:
        raise Problem(409, "NOT_UNCERTAIN", "Only a message whose outcome is not known can be resent", message.status)
    if message.content is None or not message.message_class or not message.purpose:
        raise Problem(409, "CONTENT_GONE", "Its content is not here any more, so it cannot be resent")
    send_by = time_to_live_ends(ctx, message.message_class, message.channel)
    standing = await standing_of(ctx, message.contact_id, message.channel)
    content = CONTENT.validate_python(message.content)
    template = await template_copy.known(content, message.channel, ctx)
    check(standing, SendFacts(message.channel, purpose_of(template, message.purpose), content, send_by), ctx.now)
    await worded(ctx, message.channel, content, template)
    quoted = await ctx.get(Message, message.in_reply_to) if message.in_reply_to else None
    again = message.model_copy(update={"resends": message.resends + 1, "send_by": send_by})
    decided = _decision(ctx, "resend").model_copy(update={"attempt": again.resends})
    changes: Row = {"resends": again.resends, "sendBy": iso(send_by)}
    _stage_decision(ctx, message, decided, changes)
    return Done(message_view(again.with_step(decided)), (queued_event(again, quoted, ctx.now),))


async def cancel_message(ctx: Context, message_id: str) -> Done[MessageView]:
    """Requests that the sender does not send the message. The status changes when the sender reports, which may be that
    it was too late."""
    message = await message_by_id(ctx, message_id)
    if message.status not in (Status.QUEUED, Status.DEFERRED) or not message.message_class:
        raise Problem(409, "TOO_LATE", "Only a message that waits to be sent can be cancelled", message.status)
    event = CancelAsked(
        message_id=message_id,
        contact_id=message.contact_id,
        channel=message.channel,
        message_class=message.message_class,
        at=ctx.now,
    )
    decided = _decision(ctx, "cancel-asked")
    if decided.slot() in message.steps:
        return Done(message_view(message), (event,))
    _stage_decision(ctx, message, decided, {})
    return Done(message_view(message.with_step(decided)), (event,))


async def delete_message(ctx: Context, message_id: str) -> Done[None]:
    """Removes the content and the address. The row and its statuses stay for the rest of their 30 days, so that counts
    and late receipts still find it. A message that was sent is not recalled."""
    message = await message_by_id(ctx, message_id)
    if message.deleted_at is not None:
        return Done(None)
    if message.status in UNDERWAY:
        raise Problem(409, "NOT_SETTLED", "It is still to be sent; cancel it first", message.status)
    decided = _decision(ctx, "deleted")
    _stage_decision(
        ctx, message, decided, {"deletedAt": iso(ctx.now)}, ("content", "to", *map(file_slot, message.files))
    )
    gone = MessageDeleted(message_id=message_id, contact_id=message.contact_id, channel=message.channel, at=ctx.now)
    return Done(None, (gone,))


def _decision(ctx: Context, what: str) -> Moment:
    return Moment(what=what, at=ctx.now, source="request", cause=ctx.required_cause.id, actor=ctx.actor)


def _stage_decision(
    ctx: Context, message: Message, decided: Moment, changes: Row, remove: tuple[str, ...] = ()
) -> None:
    """Stages the decision, once, on the condition that the status is still the one that was read."""
    slot = decided.slot()
    when = (When("status", "=", message.status), When(slot, "missing"))
    new = {**changes, slot: decided.to_attribute()}
    ctx.stage(ctx.update(Message, message.message_id, set=new, remove=remove, when=when))
