"""Translates events of AWS End User Messaging Social, and Meta's own webhooks, into our events. Pure.

AWS wraps one Meta ``entry`` as a JSON string in an SNS message; Meta sends ``entry[]`` itself; the changes inside are
the same. Sources: AWS, *Message and event format*; Meta, *Webhooks reference* (2026). Both deliver out of order and
more than once. Therefore keys are derived from the content: the same report always becomes the same event.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from libs.common.clock import derived_id
from libs.common.declare.event import Event
from libs.common.errors import Malformed
from libs.messaging.channels import Channel
from libs.messaging.content import Media
from libs.messaging.errors import ErrorCode
from libs.messaging.events.inbound import AccountNoticed, MessageReceived, PreferenceChanged, ReceiptReceived
from libs.messaging.providers.whatsapp import MARKETING_STOPPED, error_code
from libs.messaging.vocabulary import Status
from services.inbound.channels.whatsapp import members
from services.inbound.channels.whatsapp.content import content_of
from services.inbound.channels.whatsapp.numbers import EventContext, arns, e164, identity, of_file, ours
from services.inbound.contract import Keyed
from services.inbound.parsing.fields import Json, an_object, bounded, moment, needed, objects, optional, parsed
from services.inbound.parsing.members import unknown, with_unknown_members

STATUSES = {"sent": Status.SENT, "delivered": Status.DELIVERED, "read": Status.READ, "failed": Status.FAILED}
EVENTBRIDGE = "aws.social-messaging"
#: Members with a field of their own in our events. All other known members are kept unchanged in ``details``.
_READ_OF_MESSAGE = frozenset({"id", "from", "from_user_id", "timestamp", "type", "context", "errors"})
_READ_OF_STATUS = frozenset(
    {"id", "status", "timestamp", "recipient_id", "recipient_user_id", "biz_opaque_callback_data", "errors"}
)
#: Webhook fields about the account; any other one becomes ``unknown`` with its value kept.
ACCOUNT_KINDS = {
    "message_template_status_update": "template_status",
    "template_category_update": "template_category",
    "message_template_quality_update": "quality",
    "phone_number_quality_update": "quality",
    "account_update": "account_update",
}


def parse(feed: str) -> Keyed:
    """Translates the SNS ``Message`` of AWS, or an EventBridge event that a rule sends to the same topic, to ``[(key,
    event)]``. Raises Malformed with the field's name."""
    envelope = parsed(feed, "message")
    if envelope.get("source") == EVENTBRIDGE:
        return [_from_eventbridge(envelope)]
    entry = envelope.get("whatsAppWebhookEntry")
    if entry is None:
        raise Malformed("message.whatsAppWebhookEntry: missing")
    # The time has nanoseconds and is used only as text, to distinguish notices that are otherwise equal.
    entry_time = optional(envelope, "message_timestamp") or ""
    aws = EventContext(
        optional(envelope, "messageId"), arns(envelope), extra_members=unknown(envelope, members.ENVELOPE)
    )
    return _entry(parsed(entry, "whatsAppWebhookEntry"), entry_time, aws)


def parse_meta(body: str) -> Keyed:
    """Translates the verified body of Meta's own webhook to ``[(key, event)]``. Raises Malformed with the field's
    name."""
    whole = parsed(body, "body")
    if whole.get("object") != "whatsapp_business_account":
        raise Malformed("body.object: not whatsapp_business_account")
    return [pair for entry in objects(whole, "entry", "body") for pair in _entry(entry, "", EventContext(direct=True))]


def _entry(entry: Json, entry_time: str, aws: EventContext) -> Keyed:
    account = needed(entry, "id", "entry")
    found: Keyed = []
    for change in objects(entry, "changes", "entry"):
        field = needed(change, "field", "changes")
        value = an_object(change, "value", "changes")
        dedup_key = f"{entry_time}{entry.get('time', '')}"
        extra_members = unknown(entry, members.ENTRY, "entry") | unknown(change, members.CHANGE, "changes")
        around = replace(aws, extra_members=aws.extra_members | extra_members | unknown(value, members.VALUE, "value"))
        if field == "messages":
            found += _messages(value, account, dedup_key, around)
        elif field == "user_preferences":
            found += _preferences(value, account, dedup_key, around.extra_members)
        else:
            found.append(_notice(ACCOUNT_KINDS.get(field, "unknown"), field, value, account, dedup_key))
    return found


def _messages(value: Json, account: str, dedup_key: str, aws: EventContext) -> Keyed:
    statuses = objects(value, "statuses", "value")
    # AWS's id may be the id in the answer to the send (it is not documented). It identifies at most one message.
    also = (aws.id,) if aws.id and len(statuses) == 1 else ()
    found = [_message(message, value, aws) for message in objects(value, "messages", "value")]
    found += [_receipt(each, also, aws.extra_members | unknown(each, members.STATUS, "statuses")) for each in statuses]
    found += [stopped for status in statuses if (stopped := _stopped(status)) is not None]
    if not found:
        kind = "error" if value.get("errors") else "unknown"
        found.append(_notice(kind, "messages", value, account, dedup_key))
    return found


def _message(message: Json, value: Json, aws: EventContext) -> tuple[str, Event]:
    provider_id = needed(message, "id", "messages")
    kind = optional(message, "type") or "unknown"
    # Events of users with a username have no number (2026); the business-scoped id is used instead.
    digits, user_id = optional(message, "from"), optional(message, "from_user_id")
    if digits is None and user_id is None:
        raise Malformed("messages.from: missing, and from_user_id too")
    content = content_of(message, kind)
    extra_members = unknown(message, members.of_message(kind), "messages")
    details = _rest(message, {*_READ_OF_MESSAGE, kind}, "messages", aws.extra_members | extra_members)
    if isinstance(content, Media):
        details |= of_file(value, aws)
    received = MessageReceived(
        message_id=derived_id(Channel.WHATSAPP, provider_id),
        channel=Channel.WHATSAPP,
        provider_message_id=provider_id,
        sender=e164(digits),
        sender_user_id=user_id,
        sender_name=_name(value, digits, user_id),
        to=ours(value),
        received_by=identity(value, aws),
        content=content,
        received_at=moment(message, "timestamp", "messages"),
        in_reply_to=optional(an_object(message, "context", "messages"), "id"),
        details=details,
    )
    return f"message#{provider_id}", received


def _rest(source: Json, read: Collection[str], where: str, extra_members: Json) -> Json:
    """Returns the known members that have no field of their own, and the unknown ones."""
    kept = {
        name: value for name, value in source.items() if name not in read and f"{where}.{name}" not in extra_members
    }
    return kept | with_unknown_members(extra_members)


def _receipt(status: Json, also: tuple[str, ...], extra_members: Json, where: str = "statuses") -> tuple[str, Event]:
    provider_id = needed(status, "id", "statuses")
    provider_status = needed(status, "status", "statuses")
    error = next(iter(objects(status, "errors", "statuses")), None)
    code, number, detail = _error(error) if error else (None, None, None)
    receipt = ReceiptReceived(
        channel=Channel.WHATSAPP,
        provider_id=provider_id,
        message_id=optional(status, "biz_opaque_callback_data"),
        also_known_as=also,
        status=STATUSES.get(provider_status, Status.UNKNOWN),
        provider_status=provider_status,
        at=moment(status, "timestamp", "statuses"),
        error_code=code,
        provider_code=number,
        error_detail=detail,
        details=_rest(status, _READ_OF_STATUS, where, extra_members),
    )
    return f"status#{provider_id}#{provider_status}", receipt


def _from_eventbridge(event: Json) -> tuple[str, Event]:
    """Translates an EventBridge event: EventBridge delivers statuses on a best-effort basis and with AWS's id only
    (AWS, *Monitoring with EventBridge*). An event that is no status is kept whole."""
    detail = an_object(event, "detail", "event")
    provider_id, provider_status = optional(detail, "messageId"), optional(detail, "status")
    if provider_id is None or provider_status is None:
        return _notice(
            "unknown",
            needed(event, "detail-type", "event"),
            detail,
            optional(detail, "wabaId") or "",
            optional(event, "id") or "",
        )
    extra_members = unknown(event, members.EVENTBRIDGE)
    # Here the id is AWS's own, which identifies our send; our callback data is not returned.
    rest = {name: value for name, value in detail.items() if name not in ("messageId", "eventTimestamp")}
    return _receipt({**rest, "id": provider_id, "timestamp": detail.get("eventTimestamp")}, (), extra_members, "detail")


def _stopped(status: Json) -> tuple[str, Event] | None:
    """Returns a marketing opt-out for a send that failed because the recipient has stopped our marketing (131050)."""
    codes = [str(error.get("code")) for error in objects(status, "errors", "statuses")]
    address = e164(optional(status, "recipient_id")) or optional(status, "recipient_user_id")
    if MARKETING_STOPPED not in codes or address is None:
        return None
    changed = PreferenceChanged(
        channel=Channel.WHATSAPP,
        address=address,
        scope="marketing",
        wanted=False,
        at=moment(status, "timestamp", "statuses"),
        details={"code": MARKETING_STOPPED},
    )
    return f"stopped#{needed(status, 'id', 'statuses')}", changed


def _error(error: Json) -> tuple[ErrorCode, str | None, str | None]:
    """Maps by the number alone; Meta changes titles."""
    detail = optional(an_object(error, "error_data", "errors"), "details") or optional(error, "message")
    try:
        number = int(error["code"])
    except (KeyError, TypeError, ValueError):
        return ErrorCode.UNKNOWN, None, detail
    return error_code(number), str(number), detail or optional(error, "title")


def _preferences(value: Json, account: str, dedup_key: str, extra_members: Json) -> Keyed:
    found: Keyed = []
    for preference in objects(value, "user_preferences", "value"):
        address = e164(optional(preference, "wa_id")) or optional(preference, "user_id")
        wanted = {"stop": False, "resume": True}.get(str(preference.get("value")))
        if address is None or wanted is None or preference.get("category") != "marketing_messages":
            found.append(_notice("unknown", "user_preferences", preference, account, dedup_key))
            continue
        changed = PreferenceChanged(
            channel=Channel.WHATSAPP,
            address=address,
            scope="marketing",
            wanted=wanted,
            at=moment(preference, "timestamp", "user_preferences"),
            details={
                **({"detail": preference["detail"]} if optional(preference, "detail") else {}),
                **with_unknown_members(extra_members | unknown(preference, members.PREFERENCE, "user_preferences")),
            },
        )
        found.append((f"preference#{_fingerprint(preference)}", changed))
    return found


def _notice(kind: str, field: str, value: Json, account: str, dedup_key: str) -> tuple[str, Event]:
    notice = AccountNoticed(
        channel=Channel.WHATSAPP, kind=kind, account=account, details={"field": field, "value": bounded(value)}
    )
    return f"notice#{account}#{dedup_key}#{_fingerprint([field, value])}", notice


def _fingerprint(value: Any) -> str:
    return derived_id(json.dumps(value, sort_keys=True))


def _name(value: Json, digits: str | None, user_id: str | None) -> str | None:
    """Returns the profile name of the sender."""
    for contact in objects(value, "contacts", "value"):
        if (digits and contact.get("wa_id") == digits) or (user_id and contact.get("user_id") == user_id):
            return optional(an_object(contact, "profile", "contacts"), "name")
    return None
