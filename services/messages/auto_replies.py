"""Automatic answers to STOP, START and HELP: one answer per intent, on the channel of the inbound message.

The id of an answer is derived from what it answers, so a repeated event leads to one message. Answers are of class
``reply``: the platform never resends that class by itself, and a missing confirmation is better than a duplicate.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from libs.common.clock import derived_id
from libs.common.declare.event import Event
from libs.common.errors import RetryLater
from libs.common.handle.context import Context
from libs.messaging.auto_replies import Answer, answer_text, answers_on
from libs.messaging.channels import Channel
from libs.messaging.checks import Refusal, SendFacts, refusal
from libs.messaging.content import Email, Text
from libs.messaging.errors import ErrorCode
from libs.messaging.events.contacts import HelpAsked, OptedBackIn, OptOutEffective
from libs.messaging.permission import MAX_COPY_LAG, RECHECK_INTERVAL
from libs.messaging.permission_copy import permission_of
from libs.messaging.setting_copy import in_force
from libs.messaging.settings import MessagingSettings
from libs.messaging.vocabulary import MessageClass, Purpose
from services.messages.acceptance import NewMessage, answers_from, stage_message
from services.messages.model import Conversation, Message

#: 47 CFR 64.1200(a)(12): the confirmation of an opt-out is sent within five minutes, or it counts as a message of its
#: own.
TIME_TO_LIVE = timedelta(minutes=5)
#: At most one answer to HELP per contact and interval (s): two systems that answer each other's HELP do not loop.
MIN_HELP_INTERVAL_SECONDS = 300

log = structlog.get_logger()


async def confirm_opt_out(event: OptOutEffective, ctx: Context) -> list[Event]:
    """Confirms an opt-out by keyword. An opt-out by form, link or provider is confirmed there and gets no message."""
    if event.how != "keyword":
        return []
    return await _answer(
        ctx, Answer.OPTED_OUT, event.contact_id, event.channel, event.evidence_id, event.at, event.message_id
    )


async def confirm_opt_in(event: OptedBackIn, ctx: Context) -> list[Event]:
    return await _answer(
        ctx, Answer.OPTED_IN, event.contact_id, event.channel, event.message_id, event.at, event.message_id
    )


async def give_help(event: HelpAsked, ctx: Context) -> list[Event]:
    while_ago = str(int(event.at.timestamp()) // MIN_HELP_INTERVAL_SECONDS)
    return await _answer(ctx, Answer.HELP, event.contact_id, event.channel, while_ago, event.at, event.message_id)


async def _answer(
    ctx: Context, answer: Answer, contact_id: str, channel: Channel, key: str, at: datetime, asked_in: str | None
) -> list[Event]:
    message_id = derived_id("answer", answer, contact_id, channel, key)
    if not answers_on(channel, ctx.settings.of(MessagingSettings)) or await ctx.get(Message, message_id) is not None:
        return []
    standing = await permission_of(contact_id, channel, ctx)
    body = answer_text(answer, standing.locale if standing else None, await in_force(ctx))
    content = Email(subject=body[:78], text=body) if channel.traits.text_content == "email" else Text(body=body)
    send_by = ctx.now + TIME_TO_LIVE
    why = refusal(standing, SendFacts(channel, Purpose.COMPLIANCE, content, send_by), ctx.now)
    inbound = await ctx.get(Message, asked_in) if asked_in else None
    if why is None and inbound is None and channel.traits.answers_from_same_number:
        why = Refusal(ErrorCode.SENDER_NOT_ALLOWED, "The number that was written to is not known.")
    if why is not None or standing is None:
        if ctx.now < at + MAX_COPY_LAG:
            raise RetryLater(ctx.now + RECHECK_INTERVAL, "what it answers has not arrived here yet")
        log.info("no answer", answer=answer, channel=channel, why=why.code if why else "")
        return []
    new = NewMessage(
        message_id=message_id,
        standing=standing,
        content=content,
        message_class=MessageClass.REPLY,
        purpose=Purpose.COMPLIANCE,
        send_by=send_by,
        sender=_sender(inbound, ctx),
        conversation=await ctx.get(Conversation, contact_id, channel),
    )
    _message, events = await stage_message(new, ctx)
    return events


def _sender(inbound: Message | None, ctx: Context) -> str | None:
    if inbound is None:
        return None
    if inbound.channel.traits.answers_from_same_number:
        return inbound.to
    return answers_from(inbound.sender, inbound.channel, ctx.settings.of(MessagingSettings))
