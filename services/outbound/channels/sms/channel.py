"""SMS and MMS through AWS End User Messaging (``SendTextMessage``, ``SendMediaMessage``).

Sources: model ``pinpoint-sms-voice-v2`` 2022-03-31; AWS, *SMS character limits* and *MMS limits*: a text of up to 1,530 GSM
or 630 UCS-2 units (the field itself takes 1,600 characters), one file per MMS, in a bucket.
"""

from __future__ import annotations

from typing import Any

from libs.messaging.channels import Channel
from libs.messaging.content import Media, Text
from libs.messaging.errors import ErrorCode
from libs.messaging.segments import Segments, segments
from libs.messaging.vocabulary import Purpose
from services.outbound.contract import Account, Invalid, Outcome, Outgoing, Request
from services.outbound.sending.outcomes import outcome_of
from services.outbound.sending.sms_voice import PROVIDER, TEXT_TTL_SECONDS, addressed, s3_file, verdict, within

MAX_TEXT_LENGTH = 1600
#: The units that an MMS takes of a sender's rate, in parts of SMS. AWS allows 40 MMS per second for numbers with 100
#: parts, and as many as parts for others; a third is within both.
MMS_UNITS = 3
IMAGES = frozenset({"image/gif", "image/jpeg", "image/png"})
INDIA = "+91"
#: Required for each message to India (DLT): parameter of the setting ``senders`` -> member.
_DLT = {"inEntityId": "IN_ENTITY_ID", "inTemplateId": "IN_TEMPLATE_ID"}


class Sms:
    """Text, and one file with an optional text."""

    name = Channel.SMS
    provider = PROVIDER

    def render(self, message: Outgoing, account: Account) -> Request:
        content = message.content
        if isinstance(content, Text):
            return self._text(content, message, account)
        if isinstance(content, Media):
            return self._media(content, message, account)
        raise Invalid(ErrorCode.UNSUPPORTED, f"SMS cannot carry {content.kind}.")

    async def probe(self, client: Any) -> None:
        await client.describe_phone_numbers(MaxResults=1)

    async def send(self, request: Request, client: Any) -> Outcome:
        call = client.send_media_message if "MediaUrls" in request else client.send_text_message
        return await outcome_of(call(**request), "MessageId", verdict)

    def units(self, request: Request) -> int:
        return MMS_UNITS if "MediaUrls" in request else segments(request["MessageBody"]).parts

    def _text(self, text: Text, message: Outgoing, account: Account) -> Request:
        body = within(text.body, MAX_TEXT_LENGTH, "The text")
        counted = segments(body)
        if counted.too_long:
            raise Invalid(ErrorCode.INVALID_CONTENT, too_long(counted))
        request = addressed(message, account, TEXT_TTL_SECONDS, maxPrice="MaxPrice")
        request |= {"MessageBody": body, "MessageType": _type(message, account)}
        registered = _registered(text, account) if message.to.startswith(INDIA) else {}
        return {**request, "DestinationCountryParameters": registered} if registered else request

    def _media(self, media: Media, message: Outgoing, account: Account) -> Request:
        if media.media_type == "sticker":
            raise Invalid(ErrorCode.UNSUPPORTED, "MMS has no stickers; send an image.")
        kind = media.file.content_type
        if media.media_type == "image" and kind and kind.partition(";")[0].strip().lower() not in IMAGES:
            raise Invalid(ErrorCode.INVALID_CONTENT, f"An image of an MMS is one of {', '.join(sorted(IMAGES))}.")
        request = addressed(message, account, TEXT_TTL_SECONDS, maxPrice="MaxPrice")
        request["MediaUrls"] = [s3_file(media.file.url)]
        caption = media.caption
        return {**request, "MessageBody": within(caption, MAX_TEXT_LENGTH, "The caption")} if caption else request


def too_long(counted: Segments) -> str:
    """Returns why a text is refused, and the characters that cause it."""
    reported = f"The text has {counted.units} {counted.encoding} units; {counted.longest} are possible."
    if not counted.offending:
        return reported
    shown = " ".join(f"U+{ord(c):04X}" for c in counted.offending[:10])
    return f"{reported} Without {shown} it would count in GSM."


def _type(message: Outgoing, account: Account) -> str:
    """A number is registered for one type, which the settings have; otherwise the type follows from the message's
    purpose."""
    usual = "PROMOTIONAL" if message.purpose is Purpose.MARKETING else "TRANSACTIONAL"
    return account.options.get("messageType", usual)


def _registered(text: Text, account: Account) -> dict[str, str]:
    found = {member: account.options[name] for name, member in _DLT.items() if name in account.options}
    if text.registered_id:
        found["IN_TEMPLATE_ID"] = text.registered_id
    return found
