"""Handles send requests: checks, stores and publishes in one transaction."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from libs.common.clock import derived_id
from libs.common.declare.wire import Body
from libs.common.errors import Problem, invalid
from libs.common.handle.context import Context, Done
from libs.messaging import template_copy
from libs.messaging.channels import Channel
from libs.messaging.checks import SendFacts
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
from libs.messaging.errors import EXPLANATIONS, ErrorCode, problem_code
from libs.messaging.settings import MessagingSettings
from libs.messaging.templates import TemplateState, purpose_of
from libs.messaging.vocabulary import MessageClass, Purpose
from services.messages.acceptance import (
    NewMessage,
    answers_from,
    check,
    stage_message,
    standing_of,
    time_to_live_ends,
    worded,
)
from services.messages.files import check_files
from services.messages.model import Conversation, Message, TemplateUsed
from services.messages.views import MessageView, message_view

#: Characters that would end a header line or make it unreadable.
_LINE_BREAK = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\u0085\u2028\u2029]")

Sendable = Annotated[
    Text | Media | Template | Location | Contacts | Reaction | Interactive | Email | Speech | Rich,
    Field(discriminator="kind"),
]


class SendMessage(Body):
    """A request to send. ``messageClass`` defaults to ``transactional`` for a template and ``reply`` for other content.
    ``inReplyTo`` is our message id. ``ttlSeconds`` can shorten the time to live of the class, not extend it."""

    contact_id: str = Field(min_length=1, max_length=100)
    channel: Channel
    content: Sendable
    message_class: Literal[MessageClass.OTP, MessageClass.TRANSACTIONAL, MessageClass.REPLY] | None = None
    purpose: Literal[Purpose.SERVICE, Purpose.MARKETING] = Purpose.SERVICE
    sender: str | None = Field(default=None, min_length=1, max_length=256)
    in_reply_to: str | None = Field(default=None, min_length=1, max_length=100)
    ttl_seconds: int | None = Field(default=None, ge=5, le=259_200)


async def send_message(body: SendMessage, ctx: Context) -> Done[MessageView]:
    """Accepts a message, or raises Problem with the reason. The message id is derived from the request's key, so a
    repeated request leads to one message."""
    _check_sender(body, ctx)
    _check_headers(body.content)
    standing = await standing_of(ctx, body.contact_id, body.channel)
    message_class = body.message_class or _usual_class(body)
    send_by = time_to_live_ends(ctx, message_class, body.channel, body.ttl_seconds)
    template = await template_copy.known(body.content, body.channel, ctx)
    purpose = purpose_of(template, body.purpose)
    check(standing, SendFacts(body.channel, purpose, body.content, send_by), ctx.now)
    content = await worded(ctx, body.channel, body.content, template)
    await check_files(ctx, body.channel, content)
    conversation = await ctx.get(Conversation, body.contact_id, body.channel)
    new = NewMessage(
        message_id=derived_id(ctx.required_cause.id, "message"),
        standing=standing,
        content=content,
        message_class=message_class,
        purpose=purpose,
        send_by=send_by,
        sender=body.sender or _usual_sender(conversation, message_class, ctx),
        conversation=conversation,
        quoted=await _quoted(ctx, body),
        template=template_used(template),
    )
    message, events = await stage_message(new, ctx)
    return Done(message_view(message), tuple(events))


def _check_sender(body: SendMessage, ctx: Context) -> None:
    """Raises Problem for an identity that may not send. If no identity is configured, any may."""
    allowed = ctx.settings.of(MessagingSettings).may_send(body.channel)
    if body.sender is not None and allowed and body.sender not in allowed:
        explained = EXPLANATIONS[ErrorCode.SENDER_NOT_ALLOWED]
        raise Problem(
            422, problem_code(ErrorCode.SENDER_NOT_ALLOWED), explained.means, explained.do,
            [{"field": "sender", "detail": f"One of: {', '.join(allowed)}."}],
        )  # fmt: skip


def _check_headers(content: Content) -> None:
    """Raises Problem for a line break in a value that becomes a mail header."""
    if not isinstance(content, Email):
        return
    headers = {
        "subject": content.subject,
        **{f"headers.{name}": f"{name}{value}" for name, value in content.headers.items()},
    }
    broken = next((name for name, value in headers.items() if _LINE_BREAK.search(value)), None)
    if broken is not None:
        raise invalid(
            f"content.{broken}"[:200], "A header has one line: remove the line breaks and control characters."
        )


def template_used(template: TemplateState | None) -> TemplateUsed | None:
    if template is None:
        return None
    return TemplateUsed(name=template.name, language=template.language, number=template.number)


def _usual_sender(conversation: Conversation | None, message_class: MessageClass, ctx: Context) -> str | None:
    """A reply is sent from the identity that the contact wrote to: WhatsApp's service window is open for that number
    only, and a reply from an unknown number is not recognised."""
    if conversation is None or message_class is not MessageClass.REPLY:
        return None
    return answers_from(conversation.sender, conversation.channel, ctx.settings.of(MessagingSettings))


def _usual_class(body: SendMessage) -> MessageClass:
    return MessageClass.TRANSACTIONAL if isinstance(body.content, Template) else MessageClass.REPLY


async def _quoted(ctx: Context, body: SendMessage) -> Message | None:
    """Returns the message that is answered or reacted to: one of this conversation, with an id of the provider."""
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
