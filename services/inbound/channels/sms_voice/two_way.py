"""Translates inbound SMS and RCS messages, as AWS End User Messaging publishes them, into our events. Pure.

Source: AWS, *Two-way SMS messaging: payload*, *RCS inbound messages*. Both have one format; an RCS agent is recognised
by its id. A message has no time of its own, so the time of the feed is used. It may arrive more than once and is
identified by ``inboundMessageId``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from libs.common.clock import derived_id
from libs.messaging.channels import Channel
from libs.messaging.content import Content, Raw, Text
from libs.messaging.events.inbound import ConversationNoticed, MessageReceived, PreferenceChanged
from services.inbound.channels.sms_voice.members import TWO_WAY
from services.inbound.channels.sms_voice.rcs_content import Notice, Unsubscribe, extra_members_in, structured
from services.inbound.contract import Keyed
from services.inbound.parsing.fields import Json, needed, optional, parsed
from services.inbound.parsing.members import unknown, with_unknown_members

#: Kept in the details: the keyword at the start (a placeholder if none), and our last message to the contact, which is
#: not necessarily the one that is answered.
_KEPT_MEMBERS = ("messageKeyword", "previousPublishedMessageId")
#: No international number has fewer digits.
_MIN_NUMBER_LENGTH = 7


def parse(feed: str, at: datetime) -> Keyed:
    """Translates the SNS ``Message`` and its time of arrival to ``[(key, event)]``. Raises Malformed with the field's
    name."""
    message = parsed(feed, "message")
    provider_id = needed(message, "inboundMessageId", "message")
    sender, ours = (
        _number(needed(message, "originationNumber", "message")),
        needed(message, "destinationNumber", "message"),
    )
    channel = Channel.RCS if "rcs-" in ours else Channel.SMS
    to = ours if channel is Channel.RCS else _number(ours)
    content = structured(message.get("messageBody")) if channel is Channel.RCS else None
    extra_members = with_unknown_members(
        unknown(message, TWO_WAY) | (extra_members_in(message["messageBody"]) if content else {})
    )
    if isinstance(content, Notice):
        noticed = ConversationNoticed(
            channel=channel,
            kind=content.kind,
            sender=sender,
            to=to,
            at=at,
            details={**content.details, **extra_members},
        )
        return [(f"notice#{provider_id}#{content.kind}", noticed)]
    if isinstance(content, Unsubscribe):
        changed = PreferenceChanged(
            channel=channel,
            address=sender,
            scope="all",
            wanted=False,
            at=at,
            details={**content.details, **extra_members},
        )
        return [(f"preference#{provider_id}", changed)]
    received = MessageReceived(
        message_id=derived_id(channel, provider_id),
        channel=channel,
        provider_message_id=provider_id,
        sender=sender,
        to=to,
        content=content or _text(message.get("messageBody")),
        received_at=at,
        details={**_details(message), **extra_members},
    )
    return [(f"message#{provider_id}", received)]


def _text(body: Any) -> Content:
    """A text that exceeds our limits is kept raw, so that no customer's message is lost."""
    try:
        return Text(body=body)
    except ValidationError:
        return Raw(type="text", raw={"messageBody": body})


def _details(message: Json) -> dict[str, Any]:
    return {name: message[name] for name in _KEPT_MEMBERS if optional(message, name)}


def _number(number: str) -> str:
    """RCS sometimes gives numbers without the plus. A short code stays unchanged."""
    digits = number.removeprefix("+")
    return f"+{digits}" if digits.isdecimal() and digits.isascii() and len(digits) >= _MIN_NUMBER_LENGTH else number
