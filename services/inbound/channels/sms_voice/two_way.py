"""What people write to us by SMS and RCS, as AWS End User Messaging publishes it, in our words. Pure.

Source: AWS, *Two-way SMS messaging: payload*, *RCS inbound messages*. Both come in one form; an RCS agent is known by its id.
A message does not tell its time, so the feed does. It may come more than once and is known by ``inboundMessageId``.
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

#: Kept beside the message: the keyword that it begins with (a placeholder if none), and our last message to them, which need
#: not be what it answers.
_KEPT_MEMBERS = ("messageKeyword", "previousPublishedMessageId")
#: Of these no international number has fewer.
_MIN_NUMBER_LENGTH = 7


def parse(feed: str, at: datetime) -> Keyed:
    """The SNS ``Message`` and when it came -> ``[(key, event)]``. Raises Malformed, naming the field."""
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
    """A customer's words are never lost to a limit of ours: what is no text for us is kept raw."""
    try:
        return Text(body=body)
    except ValidationError:
        return Raw(type="text", raw={"messageBody": body})


def _details(message: Json) -> dict[str, Any]:
    return {name: message[name] for name in _KEPT_MEMBERS if optional(message, name)}


def _number(number: str) -> str:
    """RCS gives numbers without the plus now and then. A short code stays as it is."""
    digits = number.removeprefix("+")
    return f"+{digits}" if digits.isdecimal() and digits.isascii() and len(digits) >= _MIN_NUMBER_LENGTH else number
