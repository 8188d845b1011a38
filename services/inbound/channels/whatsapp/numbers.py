"""Identifies our number in a WhatsApp event: as a phone number, by Meta's phone-number id, and by AWS's id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.common.errors import Malformed
from services.inbound.parsing.fields import Json, an_object, optional


@dataclass(frozen=True)
class EventContext:
    """Metadata around Meta's entry: AWS's id of the message, AWS's ARN by Meta's phone-number id, and whether the entry
    came ``direct`` from Meta. Also the unknown members, there and in the entry around its messages and statuses."""

    id: str | None = None
    arns: Mapping[str, str] = field(default_factory=dict)
    direct: bool = False
    extra_members: Json = field(default_factory=dict)


def arns(envelope: Json) -> dict[str, str]:
    if not isinstance(envelope.get("context"), dict):
        return {}
    numbers = envelope["context"].get("MetaPhoneNumberIds")
    known = [each for each in numbers if isinstance(each, dict)] if isinstance(numbers, list) else []
    pairs = ((optional(number, "metaPhoneNumberId"), optional(number, "arn")) for number in known)
    return {meta: arn for meta, arn in pairs if meta and arn}


def of_file(value: Json, aws: EventContext) -> Json:
    """Returns where the file of a message can be fetched: from AWS, by AWS's id of the number that received it, or from
    Meta."""
    number = optional(an_object(value, "metadata", "value"), "phone_number_id") or ""
    if aws.direct:
        return {"metaPhoneNumberId": number}
    arn = aws.arns.get(number)
    return {"phoneNumberArn": arn} if arn else {}


def e164(digits: str | None) -> str | None:
    """Adds the plus: Meta writes numbers without it, and the business's own with or without punctuation."""
    only = "".join(c for c in digits or "" if c.isdecimal() and c.isascii())
    return f"+{only}" if only else None


def ours(value: Json) -> str:
    metadata = an_object(value, "metadata", "value")
    to = e164(optional(metadata, "display_phone_number")) or optional(metadata, "phone_number_id")
    if to is None:
        raise Malformed("value.metadata.display_phone_number: missing, and phone_number_id too")
    return to


def identity(value: Json, aws: EventContext) -> str | None:
    """Returns our number's id as senders use it: Meta's id, or AWS's, which is the last part of its ARN."""
    number = optional(an_object(value, "metadata", "value"), "phone_number_id")
    if aws.direct or number is None:
        return number
    arn = aws.arns.get(number)
    return f"phone-number-id-{arn.rpartition('/')[2]}" if arn else None
