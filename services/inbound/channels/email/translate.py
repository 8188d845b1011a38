"""Translates what Amazon SES publishes to SNS into our events. Pure.

Three kinds of messages: events of a configuration set (``eventType``), feedback of an identity (``notificationType``
Bounce, Complaint, Delivery: the same without tags) and received mail (``notificationType`` Received). Sources: *Amazon
SES developer guide*, "Contents of event data that Amazon SES publishes to Amazon SNS", "Contents of notifications for
Amazon SES email receiving".
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from libs.common.clock import derived_id
from libs.common.declare.event import Event
from libs.common.errors import Malformed
from libs.messaging.channels import Channel
from libs.messaging.errors import ErrorCode
from libs.messaging.events.inbound import AccountNoticed, AddressSuppressed, PreferenceChanged, ReceiptReceived
from libs.messaging.providers.ses import bounce_code, is_hard, is_suppressed, status_of
from libs.messaging.vocabulary import Status
from services.inbound.channels.email.members import of_event
from services.inbound.channels.email.received import received
from services.inbound.contract import Keyed
from services.inbound.parsing.fields import Json, an_object, iso_moment, needed, objects, optional, parsed
from services.inbound.parsing.members import unknown, with_unknown_members

#: Event type -> the member that the event has besides ``mail``.
_MEMBERS = {
    "Send": "send", "Delivery": "delivery", "Bounce": "bounce", "Complaint": "complaint", "Reject": "reject", "Open": "open",
    "Click": "click", "Rendering Failure": "failure", "RenderingFailure": "failure", "DeliveryDelay": "deliveryDelay",
    "Subscription": "subscription",
}  # fmt: skip
#: SES sends this once, in plain text, when a topic is connected to a configuration set.
_CONNECTED = "Successfully validated SNS topic"
#: Members of a report that are kept, such as the link and the SMTP response; never data on a person's location.
_KEPT_MEMBERS = (
    "bounceType", "bounceSubType", "complaintSubType", "complaintFeedbackType", "delayType", "expirationTime", "isBotEvent",
    "link", "linkTags", "processingTimeMillis", "smtpResponse", "templateName", "userAgent",
)  # fmt: skip


def parse(feed: str) -> Keyed:
    """Translates the SNS ``Message`` of SES to ``[(key, event)]``. Raises Malformed with the field's name."""
    if feed.startswith(_CONNECTED):
        return [_notice("connected", {}, feed)]
    whole = parsed(feed, "message")
    kind = optional(whole, "eventType") or optional(whole, "notificationType")
    if kind is None:
        raise Malformed("message.eventType: missing, and notificationType too")
    if kind == "Received":
        return received(whole)
    if kind == "AmazonSnsSubscriptionSucceeded":
        return [_notice("connected", {}, feed)]
    mail = an_object(whole, "mail", "message")
    if kind not in _MEMBERS and optional(mail, "messageId") is None:
        return [_notice("unknown", {"type": kind, "value": whole}, feed)]
    return _event(kind, whole, mail)


def _event(kind: str, whole: Json, mail: Json) -> Keyed:
    provider_id = needed(mail, "messageId", "mail")
    member = _MEMBERS.get(kind)
    payload = an_object(whole, member, "message") if member else {k: v for k, v in whole.items() if k != "mail"}
    own = member if member and optional(payload, "timestamp") else None
    at = iso_moment(payload if own else mail, "timestamp", own or "mail")
    ours = _our_id(mail)
    # An event of an unknown type is kept whole anyway.
    extra_members = with_unknown_members(unknown(whole if member else {"mail": mail}, of_event(member)))
    if kind == "Subscription":
        return _preferences(payload, mail, provider_id, at, extra_members)
    status, code, provider_status, detail = _read(kind, payload)
    receipt = ReceiptReceived(
        channel=Channel.EMAIL,
        provider_id=provider_id,
        message_id=ours,
        status=status,
        provider_status=provider_status,
        at=at,
        error_code=code,
        provider_code=_provider_code(payload),
        error_detail=detail,
        details={
            **({name: payload[name] for name in _KEPT_MEMBERS if payload.get(name) is not None} if member else payload),
            **extra_members,
        },
    )
    # A message can be opened more than once, and a message to several recipients can bounce more than once.
    found: Keyed = [
        (f"event#{provider_id}#{provider_status}#{derived_id(json.dumps(payload, sort_keys=True))}", receipt)
    ]
    return found + _suppressions(kind, payload, ours, provider_id, at)


def _read(kind: str, payload: Json) -> tuple[Status, ErrorCode | None, str, str | None]:
    """Returns the status, our error code, the provider's status and its explanation."""
    status = status_of(kind, payload.get("isBotEvent") == "Likely")
    if kind == "Bounce":
        subtype = optional(payload, "bounceSubType") or ""
        provider_status = ".".join(filter(None, [kind, optional(payload, "bounceType"), subtype]))
        first = next(iter(objects(payload, "bouncedRecipients", "bounce")), {})
        return status, bounce_code(subtype), provider_status, optional(first, "diagnosticCode")
    if kind == "Complaint":
        if optional(payload, "complaintSubType"):
            return status, ErrorCode.SUPPRESSED, kind, optional(payload, "complaintSubType")
        if _is_no_complaint(payload):
            return Status.DELIVERED, None, kind, None
        return status, ErrorCode.BLOCKED, kind, optional(payload, "complaintFeedbackType")
    if kind == "Reject":
        return status, ErrorCode.INVALID_CONTENT, kind, optional(payload, "reason")
    if status is Status.FAILED:
        return status, ErrorCode.VARIABLES_INCOMPLETE, kind, optional(payload, "errorMessage")
    return status, None, kind, None


def _provider_code(payload: Json) -> str | None:
    """Returns the enhanced status code (RFC 3463) of a bounce or delay."""
    for name in ("bouncedRecipients", "delayedRecipients"):
        for recipient in objects(payload, name, "message"):
            return optional(recipient, "status")
    return None


def _suppressions(kind: str, payload: Json, ours: str | None, provider_id: str, at: datetime) -> Keyed:
    """Returns the addresses to suppress. A transient or undetermined bounce does not suppress an address."""
    if kind == "Bounce" and is_hard(optional(payload, "bounceType") or ""):
        subtype = optional(payload, "bounceSubType") or ""
        reason, recipients = "provider_list" if is_suppressed(subtype) else "hard_bounce", "bouncedRecipients"
        detail = " ".join(filter(None, [subtype, _provider_code(payload)]))
    elif kind == "Complaint" and not _is_no_complaint(payload):
        reason, recipients = "complaint", "complainedRecipients"
        detail = optional(payload, "complaintFeedbackType") or optional(payload, "complaintSubType") or ""
    else:
        return []
    found: Keyed = []
    for recipient in objects(payload, recipients, kind.lower()):
        address = needed(recipient, "emailAddress", recipients)
        suppressed: dict[str, Any] = {"reason": reason, "detail": detail or None, "address": address, "at": at}
        event = AddressSuppressed(channel=Channel.EMAIL, message_id=ours, provider_id=provider_id, **suppressed)
        found.append((f"suppressed#{provider_id}#{address}#{reason}", event))
    return found


def _is_no_complaint(payload: Json) -> bool:
    """Whether the report is that a recipient moved the mail out of the spam folder."""
    return payload.get("complaintFeedbackType") == "not-spam"


def _preferences(payload: Json, mail: Json, provider_id: str, at: datetime, extra_members: Json) -> Keyed:
    """Translates a change of a subscription in SES's own list management: of the whole list, or of topics."""
    new, old = (an_object(payload, name, "subscription") for name in ("newTopicPreferences", "oldTopicPreferences"))
    left, stayed = _topics(new, "OptOut"), _topics(new, "OptIn")
    if new.get("unsubscribeAll") is True:
        scope, wanted = "all", False
    elif old.get("unsubscribeAll") is True:
        scope, wanted = "all", True
    elif left - _topics(old, "OptOut"):
        scope, wanted = "marketing", False
    elif stayed - _topics(old, "OptIn"):
        scope, wanted = "marketing", True
    else:
        return [_notice("unknown", {"type": "Subscription", "value": payload}, provider_id)]
    recipients = mail.get("destination")
    if not isinstance(recipients, list) or len(recipients) != 1 or not isinstance(recipients[0], str):
        raise Malformed("mail.destination: not one address")
    changed = PreferenceChanged(
        channel=Channel.EMAIL,
        address=recipients[0],
        scope=scope,
        wanted=wanted,
        at=at,
        details={
            **{name: payload[name] for name in ("contactList", "source") if optional(payload, name)},
            **extra_members,
        },
    )
    return [(f"subscription#{provider_id}#{derived_id(json.dumps(payload, sort_keys=True))}", changed)]


def _topics(preferences: Json, status: str) -> set[str]:
    listed = objects(preferences, "topicSubscriptionStatus", "subscription")
    return {str(each.get("topicName")) for each in listed if each.get("subscriptionStatus") == status}


def _our_id(mail: Json) -> str | None:
    """Returns our message id from the tag that the send set; values are lists. An identity's own feedback has no
    tags."""
    values = an_object(mail, "tags", "mail").get("messageId")
    if isinstance(values, list) and values and isinstance(values[0], str):
        return values[0]
    return None


def _notice(kind: str, details: Json, text: str) -> tuple[str, Event]:
    return f"notice#{kind}#{derived_id(text)}", AccountNoticed(channel=Channel.EMAIL, kind=kind, details=details)
