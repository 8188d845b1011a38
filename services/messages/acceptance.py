"""Checks whether a message may be sent, and stages its row, its conversation and its event in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from libs.common.declare.event import Event
from libs.common.errors import CopyRefusal, Problem
from libs.common.handle.context import Context
from libs.messaging import template_copy
from libs.messaging.channels import Channel
from libs.messaging.checks import Refusal, SendFacts, refusal
from libs.messaging.content import Content
from libs.messaging.errors import EXPLANATIONS, problem_code, problem_type
from libs.messaging.events.messages import MessageQueued
from libs.messaging.permission import Permission
from libs.messaging.permission_copy import permission_of
from libs.messaging.settings import MessagingSettings
from libs.messaging.templates import TemplateState
from libs.messaging.vocabulary import RANK, Direction, MessageClass, Purpose, Status
from services.messages.fold import follows
from services.messages.model import (
    Conversation,
    Message,
    Moment,
    TemplateUsed,
    conversation_after,
    kept_until,
    open_shard,
)

#: After the end of a message's time to live: longer than a sender needs to report the outcome.
OVERDUE = timedelta(minutes=15)
CONTENT: TypeAdapter[Content] = TypeAdapter(Content)


@dataclass(frozen=True)
class NewMessage:
    """A message that has passed the checks."""

    message_id: str
    standing: Permission
    content: Content
    message_class: MessageClass
    purpose: Purpose
    send_by: datetime
    sender: str | None
    conversation: Conversation | None
    quoted: Message | None = None
    template: TemplateUsed | None = None


async def stage_message(new: NewMessage, ctx: Context) -> tuple[Message, list[Event]]:
    """Stages the message and the update of its conversation. Returns the message and the events that follow."""
    standing, send_by = new.standing, new.send_by
    queued = Moment(
        what=Status.QUEUED, at=ctx.now, source="request", cause=ctx.required_cause.id, moved=True, actor=ctx.actor
    )
    message = Message(
        message_id=new.message_id,
        contact_id=standing.contact_id,
        channel=standing.channel,
        direction=Direction.OUTBOUND,
        message_class=new.message_class,
        purpose=new.purpose,
        content=new.content.model_dump(mode="json", by_alias=True, exclude_none=True),
        template=new.template,
        status=Status.QUEUED,
        rank=RANK[Status.QUEUED],
        sender=new.sender,
        to=standing.address,
        created_by=ctx.actor,
        in_reply_to=new.quoted.message_id if new.quoted else None,
        created_at=ctx.now,
        send_by=send_by,
        open=open_shard(new.message_id),
        settle_by=send_by + OVERDUE,
        expires_at=kept_until(ctx.now),
    ).with_step(queued)
    ctx.stage(ctx.insert(message))
    updated = conversation_after(new.conversation, message)
    if updated is not None:
        ctx.stage(ctx.upsert(updated, new.conversation))
    return message, [queued_event(message, new.quoted, ctx.now, standing.revision), *follows(message, queued)]


def queued_event(message: Message, quoted: Message | None, at: datetime, revision: int | None = None) -> MessageQueued:
    assert message.message_class
    assert message.purpose
    assert message.send_by
    return MessageQueued(
        message_id=message.message_id,
        contact_id=message.contact_id,
        channel=message.channel,
        message_class=message.message_class,
        purpose=message.purpose,
        sender=message.sender,
        content=CONTENT.validate_python(message.content),
        queued_at=at,
        revision=revision,
        expires_at=message.send_by,
        # The network's own id: WhatsApp quotes by wamid, which is the reported id.
        in_reply_to=quoted.reported_id or quoted.provider_id if quoted else None,
        resend=message.resends,
    )


def answers_from(identity: str | None, channel: Channel, settings: MessagingSettings) -> str | None:
    """Returns our identity that the contact wrote to if it may send, else None: the default identity."""
    return identity if identity in settings.may_send(channel) else None


async def worded(ctx: Context, channel: Channel, content: Content, template: TemplateState | None) -> Content:
    """Returns the content to send. A template stays as it is on WhatsApp and is rendered here, once, on every other
    channel. Raises Problem."""
    refused = await template_copy.why_not(content, template, channel, ctx)
    written = refused or template_copy.written_out(content, template, channel)
    if isinstance(written, Refusal):
        raise refused_problem(written)
    return written


def time_to_live_ends(
    ctx: Context, message_class: MessageClass, channel: Channel, seconds: int | None = None
) -> datetime:
    longest = channel.traits.policies[message_class].time_to_live
    return ctx.now + (min(longest, timedelta(seconds=seconds)) if seconds else longest)


async def standing_of(ctx: Context, contact_id: str, channel: Channel) -> Permission:
    standing = await permission_of(contact_id, channel, ctx)
    if standing is None:
        errors = [{"field": "contactId", "detail": f"not known on {channel}"}]
        raise CopyRefusal(422, "CONTACT_NOT_FOUND", "There is no such contact on this channel", "", errors)
    return standing


def check(standing: Permission, asked: SendFacts, now: datetime) -> None:
    refused = refusal(standing, asked, now)
    if refused is not None:
        raise refused_problem(refused)


def refused_problem(refused: Refusal) -> Problem:
    """Converts a refusal into a Problem with its reason and its remedy."""
    explained = EXPLANATIONS[refused.code]
    problem = problem_type(refused.code)
    return problem(
        422, problem_code(refused.code), explained.means, refused.detail, do=explained.do, retryable=explained.retryable
    )
