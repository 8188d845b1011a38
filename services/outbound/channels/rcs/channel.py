"""The RCS channel through AWS End User Messaging (``SendRcsMessage``), with a fallback by SMS or MMS.

Sources: model ``pinpoint-sms-voice-v2`` 2022-03-31 and AWS, *Sending RCS messages*. The values of its plain strings
(orientation, width, height) are those of the documentation.
"""

from __future__ import annotations

import json
from typing import Any

from libs.messaging.channels import Channel
from libs.messaging.content import Card, Content, Media, Rich, Text
from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import MessageClass, Purpose
from services.outbound.channels.rcs.content import Json, file_url, rich, suggestions
from services.outbound.channels.rcs.fallback import fallback
from services.outbound.contract import Account, Invalid, Outcome, Outgoing, Request
from services.outbound.sending.outcomes import outcome_of
from services.outbound.sending.sms_voice import PROVIDER, RCS_TTL_SECONDS, addressed, verdict, within

MAX_TEXT_LENGTH = 3072
MAX_REQUEST_BYTES = 250_000
MAX_SUGGESTIONS = 11
TRAFFIC = {
    MessageClass.OTP: "AUTHENTICATION",
    MessageClass.TRANSACTIONAL: "TRANSACTION",
    MessageClass.BULK: "TRANSACTION",
    MessageClass.REPLY: "SERVICE_REQUEST",
}


class Rcs:
    """Text, a file, a card, a carousel; suggestions; one fallback."""

    name = Channel.RCS
    provider = PROVIDER

    def render(self, message: Outgoing, account: Account) -> Request:
        request = addressed(message, account, RCS_TTL_SECONDS, maxPrice="MaxPrice")
        # A message that fell back is reported as SMS; the context identifies the channel that it was sent on.
        request["Context"]["channel"] = self.name.value
        marketing = message.purpose is Purpose.MARKETING
        request["MessageTrafficType"] = "PROMOTION" if marketing else TRAFFIC[message.message_class]
        request["RcsMessageContent"] = _content(message.content)
        if isinstance(message.content, Rich):
            request |= fallback(message.content, account)
        if len(json.dumps(request["RcsMessageContent"]).encode()) > MAX_REQUEST_BYTES:
            raise Invalid(ErrorCode.INVALID_CONTENT, f"The message is larger than {MAX_REQUEST_BYTES} bytes.")
        return request

    async def probe(self, client: Any) -> None:
        await client.describe_phone_numbers(MaxResults=1)

    async def send(self, request: Request, client: Any) -> Outcome:
        return await outcome_of(client.send_rcs_message(**request), "MessageId", verdict)

    def units(self, request: Request) -> int:
        return 1


def _content(content: Content) -> Json:
    if isinstance(content, Text):
        return {"Content": _text(content.body)}
    if isinstance(content, Media):
        return {"Content": _media(content)}
    if not isinstance(content, Rich):
        raise Invalid(ErrorCode.UNSUPPORTED, f"RCS cannot carry {content.kind} here.")
    if sum(map(bool, (content.text, content.file_url, content.cards))) != 1:
        raise Invalid(ErrorCode.INVALID_CONTENT, "Exactly one of text, fileUrl and cards is sent.")
    value: Json = {"Content": _text(content.text) if content.text else rich(content)}
    if content.suggestions:
        value["Suggestions"] = suggestions(content.suggestions, MAX_SUGGESTIONS, "suggestions")
    return value


def _text(body: str) -> Json:
    return {"TextMessage": {"Body": within(body, MAX_TEXT_LENGTH, "The text")}}


def _media(media: Media) -> Json:
    """A file is sent alone; an image or video with a caption is a card."""
    if not media.caption:
        return {"FileMessage": {"FileUrl": file_url(media.file.url, "file.url")}}
    if media.media_type not in ("image", "video"):
        raise Invalid(ErrorCode.INVALID_CONTENT, f"A caption is not possible with {media.media_type}.")
    return rich(Rich(cards=[Card(description=media.caption, media_url=media.file.url or "none")]))
