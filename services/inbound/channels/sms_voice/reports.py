"""Translates what AWS End User Messaging publishes about SMS, MMS, voice and RCS messages into our events. Pure.

Source: AWS, *Event format for SMS, MMS and voice*, *RCS events*. One configuration set reports on all of them. Events
arrive in any order and more than once, and ``isFinal`` does not mean that nothing follows (RCS: delivered, then read).
An RCS message that was sent by SMS as a fallback is reported as SMS; the context has our message id and channel.
"""

from __future__ import annotations

from typing import Any

from libs.messaging.channels import Channel
from libs.messaging.events.inbound import AccountNoticed, AddressSuppressed, ReceiptReceived
from libs.messaging.providers.sms_voice import CHANNELS, EVENTS, STILL_OUT, Meaning
from libs.messaging.vocabulary import Status
from services.inbound.channels.sms_voice.members import EVENT
from services.inbound.contract import Keyed
from services.inbound.parsing.fields import Json, an_object, bounded, moment, needed, optional, parsed
from services.inbound.parsing.members import unknown, with_unknown_members

#: Members with a field of their own in our event. All others are kept unchanged, including prices, whose unit is not
#: documented.
_TOLD = frozenset({"eventType", "eventTimestamp", "messageId", "messageStatusDescription"})
_OWN = frozenset({"messageId", "channel"})
#: The number does not exist: it is suppressed.
_NO_NUMBER = frozenset({"TEXT_INVALID", "MEDIA_INVALID"})


def parse(feed: str) -> Keyed:
    """Translates the SNS ``Message`` of AWS to ``[(key, event)]``. Raises Malformed with the field's name."""
    event = parsed(feed, "message")
    kind, message_id = needed(event, "eventType", "message"), needed(event, "messageId", "message")
    key = f"{message_id}#{kind}"
    carried_by = CHANNELS.get(kind.partition("_")[0])
    context = an_object(event, "context", "message")
    channel = _asked_for(context) or carried_by
    if channel is None:
        notice = AccountNoticed(channel=Channel.SMS, kind="unknown", details={"field": kind, "value": bounded(event)})
        return [(f"notice#{key}", notice)]
    status, code = _meaning(kind, event)
    failed = status is Status.FAILED
    receipt = ReceiptReceived(
        channel=channel,
        provider_id=message_id,
        message_id=optional(context, "messageId"),
        status=status,
        provider_status=kind,
        at=moment(event, "eventTimestamp", "message"),
        error_code=code,
        provider_code=optional(event, "messageStatus") if failed else None,
        error_detail=optional(event, "messageStatusDescription") if failed else None,
        details=_rest(event, context),
    )
    found: Keyed = [(f"status#{key}", receipt)]
    address = optional(event, "destinationPhoneNumber")
    if kind in _NO_NUMBER and address and carried_by:
        suppressed = AddressSuppressed(
            channel=carried_by, address=address, reason="invalid_number", at=receipt.at, message_id=receipt.message_id,
            provider_id=message_id, detail=kind,
        )  # fmt: skip
        found.append((f"suppressed#{key}", suppressed))
    return found


def _meaning(kind: str, event: Json) -> Meaning:
    """Returns the status and error code; ``unknown`` for a type that we do not know, which changes no status."""
    if kind == "RCS_TTL_EXPIRED" and event.get("messageStatusDescription") == STILL_OUT:
        return Status.SENT, None
    return EVENTS.get(kind, (Status.UNKNOWN, None))


def _asked_for(context: Json) -> Channel | None:
    """Returns the channel that the message was sent on, if the send recorded it in the context."""
    channel_name = optional(context, "channel")
    return Channel(channel_name) if channel_name in {channel.value for channel in CHANNELS.values()} else None


def _rest(event: Json, context: Json) -> dict[str, Any]:
    # An event of an unknown type is kept whole anyway.
    extra_members = unknown(event, EVENT) if event["eventType"] in EVENTS else {}
    kept = {
        name: value for name, value in event.items() if name not in {*_TOLD, "context", *extra_members}
    } | with_unknown_members(extra_members)
    others = {name: value for name, value in context.items() if name not in _OWN}
    if event["eventType"] not in EVENTS:
        kept["messageStatusDescription"] = event.get("messageStatusDescription")
    return {**kept, "context": others} if others else kept
