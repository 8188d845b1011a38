"""WhatsApp events as AWS publishes them to SNS: Meta's webhook entry as a string in AWS's envelope (facts 2.6)."""

from __future__ import annotations

import json
from typing import Any

from libs.simulator import demo
from libs.simulator.clock import iso_nanos
from libs.simulator.socialmessaging.account import Account
from libs.simulator.socialmessaging.records import Number, Waba


def envelope(
    account: Account, waba: Waba, number: Number | None, value: dict[str, Any], field: str, at: float, message_id: str
) -> str:
    """The SNS Message. `number` None for events of the whole business account; those carry `time`."""
    entry = _entry(waba, value, field, at)
    numbers = []
    if number is not None:
        arn = demo.phone_number_arn(number.id, account.region)
        numbers.append({"metaPhoneNumberId": number.meta_id, "arn": arn})
    return json.dumps(
        {
            "context": {
                "MetaWabaIds": [{"wabaId": waba.meta_id, "arn": demo.waba_arn(waba.id, account.region)}],
                "MetaPhoneNumberIds": numbers,
            },
            "whatsAppWebhookEntry": json.dumps(entry, separators=(",", ":")),
            "aws_account_id": demo.ACCOUNT_ID,
            "message_timestamp": iso_nanos(at),
            "messageId": message_id,
        },
        separators=(",", ":"),
    )


def webhook(waba: Waba, value: dict[str, Any], field: str, at: float) -> str:
    """The body of Meta's own webhook: the same entry without AWS's envelope (facts 2.14)."""
    whole = {"object": "whatsapp_business_account", "entry": [_entry(waba, value, field, at)]}
    return json.dumps(whole, separators=(",", ":"))


def _entry(waba: Waba, value: dict[str, Any], field: str, at: float) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": waba.meta_id}
    if field != "messages":
        entry["time"] = int(at)
    entry["changes"] = [{"value": value, "field": field}]
    return entry


def base_value(number: Number) -> dict[str, Any]:
    return {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": number.digits, "phone_number_id": number.meta_id},
    }


def contact(account: Account, digits: str, hide_phone: bool = False) -> dict[str, Any]:
    """A person in `value.contacts`; users with a username may come without `wa_id` (facts 2.13)."""
    found: dict[str, Any] = {"profile": {"name": account.name_of(digits)}}
    if not hide_phone:
        found["wa_id"] = digits
    found["user_id"] = account.user_id(digits)
    return found


def status_value(
    account: Account,
    number: Number,
    *,
    wamid: str,
    status: str,
    digits: str,
    at: float,
    category: str,
    callback_data: str | None,
    error: dict[str, Any] | None,
) -> dict[str, Any]:
    """`value` of a status event (facts 2.8): `contacts` not with failed, `pricing` with sent and delivered."""
    item: dict[str, Any] = {
        "id": wamid,
        "status": status,
        "timestamp": str(int(at)),
        "recipient_id": digits,
        "recipient_user_id": account.user_id(digits),
    }
    if status in ("sent", "delivered"):
        item["pricing"] = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": category}
    if callback_data is not None:
        item["biz_opaque_callback_data"] = callback_data
    value = base_value(number)
    if status == "failed":
        item["errors"] = [error]
    else:
        value["contacts"] = [contact(account, digits)]
    value["statuses"] = [item]
    return value


def template_status_value(template: Any, event: str, reason: str, extra: dict[str, Any]) -> dict[str, Any]:
    """`value` of message_template_status_update (facts 2.12)."""
    return {
        "event": event,
        "message_template_id": int(template.meta_id),
        "message_template_name": template.name,
        "message_template_language": template.language,
        "message_template_category": template.category,
        "reason": reason,
        **extra,
    }
