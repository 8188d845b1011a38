"""Which number of ours a WhatsApp event is about: as people write it, as Meta counts it, and as AWS calls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.common.errors import Malformed
from services.inbound.parsing.fields import Json, an_object, optional


@dataclass(frozen=True)
class EventContext:
    """What AWS tells around Meta's entry: its id of the message, and what it calls each of Meta's phone-number ids; whether it
    came ``direct`` from Meta. And what nobody knows, there and in the entry around its messages and statuses."""

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
    """Where the file of a message is to be had: from AWS, by its name of the number that it was sent to, or from Meta itself."""
    number = optional(an_object(value, "metadata", "value"), "phone_number_id") or ""
    if aws.direct:
        return {"metaPhoneNumberId": number}
    arn = aws.arns.get(number)
    return {"phoneNumberArn": arn} if arn else {}


def e164(digits: str | None) -> str | None:
    """Meta writes numbers without the plus, and the business's own with or without punctuation."""
    only = "".join(c for c in digits or "" if c.isdecimal() and c.isascii())
    return f"+{only}" if only else None


def ours(value: Json) -> str:
    metadata = an_object(value, "metadata", "value")
    to = e164(optional(metadata, "display_phone_number")) or optional(metadata, "phone_number_id")
    if to is None:
        raise Malformed("value.metadata.display_phone_number: missing, and phone_number_id too")
    return to


def identity(value: Json, aws: EventContext) -> str | None:
    """Our number as a sender names it: by Meta's id, or by AWS's, which is the last part of its ARN."""
    number = optional(an_object(value, "metadata", "value"), "phone_number_id")
    if aws.direct or number is None:
        return number
    arn = aws.arns.get(number)
    return f"phone-number-id-{arn.rpartition('/')[2]}" if arn else None
