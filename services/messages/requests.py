"""Sending, as it is asked for: checked, stored, and said in one transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from libs.common.clock import derived_id
from libs.common.context import Context, Done
from libs.common.errors import Problem
from libs.messaging.checks import Asked, Refusal, refusal
from libs.messaging.content import (
    Contacts,
    Content,
    Email,
    Interactive,
    Location,
    Media,
    Reaction,
    Rich,
    Speech,
    Template,
    Text,
)
from libs.messaging.errors import EXPLANATIONS, problem_code
from libs.messaging.events.messages import MessageQueued
from libs.messaging.permission import Permission, Standing
from libs.messaging.policy import policy
from libs.messaging.words import RANK, Channel, Direction, MessageClass, Purpose, Status
from services.messages.files import check_files
from services.messages.fold import follows
from services.messages.handlers import cause_id
from services.messages.model import (
    Conversation,
    Message,
    Moment,
    conversation_after,
    kept_until,
    open_shard,
)
from services.messages.views import MessageView, message_view

#: Longer than a sender needs to say what became of a message after its time to live.
OVERDUE = timedelta(minutes=15)

Sendable = Annotated[
    Text | Media | Template | Location | Contacts | Reaction | Interactive | Email | Speech | Rich,
    Field(discriminator="kind"),
]
CONTENT: TypeAdapter[Content] = TypeAdapter(Content)


class SendMessage(BaseModel):
    """``messageClass`` is ``transactional`` for a template and ``reply`` for anything else unless given; ``inReplyTo`` is our
    id; ``ttlSeconds`` can shorten the class's time to live, not lengthen it."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    contact_id: str = Field(min_length=1, max_length=100)
    channel: Channel
    content: Sendable
    message_class: Literal[MessageClass.OTP, MessageClass.TRANSACTIONAL, MessageClass.REPLY] | None = None
    purpose: Literal[Purpose.SERVICE, Purpose.MARKETING] = Purpose.SERVICE
    sender: str | None = Field(default=None, min_length=1, max_length=256)
    in_reply_to: str | None = Field(default=None, min_length=1, max_length=100)
    ttl_seconds: int | None = Field(default=None, ge=5, le=259_200)


async def send_message(body: SendMessage, ctx: Context) -> Done[MessageView]:
    """Accept a message, or say why not. Its id derives from the request's key, so that a repeat is the same message."""
    standing = await standing_of(ctx, body.contact_id, body.channel)
    message_class = body.message_class or _usual_class(body)
    send_by = time_to_live_ends(ctx, message_class, body.channel, body.ttl_seconds)
    check(standing, Asked(body.channel, body.purpose, body.content, send_by), ctx.now)
    await check_files(ctx, body.channel, body.content)
    quoted = await _quoted(ctx, body)
    queued = Moment(what=Status.QUEUED, at=ctx.now, source="request", cause=cause_id(ctx), moved=True, actor=ctx.actor)
    message_id = derived_id(cause_id(ctx), "message")
    message = Message(
        message_id=message_id,
        contact_id=body.contact_id,
        channel=body.channel,
        direction=Direction.OUTBOUND,
        message_class=message_class,
        purpose=body.purpose,
        content=body.content.model_dump(mode="json", by_alias=True, exclude_none=True),
        status=Status.QUEUED,
        rank=RANK[Status.QUEUED],
        sender=body.sender,
        to=standing.address,
        created_by=ctx.actor,
        in_reply_to=quoted.message_id if quoted else None,
        created_at=ctx.now,
        send_by=send_by,
        open=open_shard(message_id),
        settle_by=send_by + OVERDUE,
        expires_at=kept_until(ctx.now),
    ).with_step(queued)
    ctx.stage(ctx.insert(message))
    await _stage_conversation(ctx, message)
    return Done(message_view(message), (queued_event(message, quoted, ctx.now), *follows(message, queued)))


def _usual_class(body: SendMessage) -> MessageClass:
    return MessageClass.TRANSACTIONAL if isinstance(body.content, Template) else MessageClass.REPLY


def time_to_live_ends(
    ctx: Context, message_class: MessageClass, channel: Channel, seconds: int | None = None
) -> datetime:
    longest = policy(message_class, channel).time_to_live
    return ctx.now + (min(longest, timedelta(seconds=seconds)) if seconds else longest)


async def standing_of(ctx: Context, contact_id: str, channel: Channel) -> Standing:
    copy = await ctx.get(Permission, Permission.id_of(contact_id, channel))
    if copy is None:
        errors = [{"field": "contactId", "detail": f"not known on {channel}"}]
        raise Problem(422, "CONTACT_NOT_FOUND", "There is no such contact on this channel", "", errors)
    return copy.standing


def check(standing: Standing, asked: Asked, now: datetime) -> None:
    refused = refusal(standing, asked, now)
    if refused is not None:
        raise refused_problem(refused)


def refused_problem(refused: Refusal) -> Problem:
    """Why not, and what to do about it."""
    explained = EXPLANATIONS[refused.code]
    return Problem(
        422, problem_code(refused.code), explained.means, refused.detail, do=explained.do, retryable=explained.retryable
    )


async def _quoted(ctx: Context, body: SendMessage) -> Message | None:
    """The message that is answered or reacted to: one of this conversation that the provider has an id for."""
    field = "inReplyTo"
    quoted_id = body.in_reply_to
    if isinstance(body.content, Reaction):
        field, quoted_id = "content.messageId", body.content.message_id
    if quoted_id is None:
        return None
    quoted = await ctx.get(Message, quoted_id)
    if quoted is None or (quoted.contact_id, quoted.channel) != (body.contact_id, body.channel):
        errors = [{"field": field, "detail": "no message of this conversation"}]
        raise Problem(422, "MESSAGE_NOT_FOUND", "There is no such message to answer", "", errors)
    if not quoted.provider_ids():
        errors = [{"field": field, "detail": "the provider has not taken it yet"}]
        raise Problem(409, "NOT_YET_SENT", "A message that is not sent yet cannot be answered", "", errors)
    return quoted


def queued_event(message: Message, quoted: Message | None, at: datetime) -> MessageQueued:
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
        expires_at=message.send_by,
        # What the network calls it: WhatsApp quotes by wamid, which is the reported one.
        in_reply_to=quoted.reported_id or quoted.provider_id if quoted else None,
        resend=message.resends,
    )


async def _stage_conversation(ctx: Context, message: Message) -> None:
    known = await ctx.get(Conversation, message.contact_id, message.channel)
    news = conversation_after(known, message)
    if news is not None:
        ctx.stage(ctx.insert(news) if known is None else ctx.replace(news))
