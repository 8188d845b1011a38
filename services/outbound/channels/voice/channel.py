"""Voice messages through AWS End User Messaging (``SendVoiceMessage``): a text that is read out on the phone.

Sources: model ``pinpoint-sms-voice-v2`` 2022-03-31; AWS, *Voice message limits*: 3,000 characters of text or 6,000 of SSML,
tags included; Amazon Polly's SSML, whose root is ``<speak>``.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from libs.messaging.channels import Channel
from libs.messaging.content import Speech, Text
from libs.messaging.errors import ErrorCode
from libs.messaging.providers.sms_voice import VOICES
from services.outbound.contract import Account, Invalid, Outcome, Outgoing, Request
from services.outbound.sending.outcomes import outcome_of
from services.outbound.sending.sms_voice import PROVIDER, TEXT_TTL_SECONDS, addressed, verdict, within

MAX_TEXT_LENGTH, MAX_SSML_LENGTH = 3000, 6000
#: A number or a pool can call; a sender id or an RCS agent cannot.
_CALLER = re.compile(r"\+?[1-9][0-9]{1,18}|(?:arn:[^ ]+[:/])?(?:phone|phone-number|pool)[-/].+")


class Voice:
    """Text, plain or marked up, in one of the service's voices."""

    name = Channel.VOICE
    provider = PROVIDER

    def render(self, message: Outgoing, account: Account) -> Request:
        if _CALLER.fullmatch(account.sender) is None:
            raise Invalid(ErrorCode.SENDER_NOT_ALLOWED, "Only a phone number or a pool can call.")
        spoken = self._speech(message.content)
        request = addressed(message, account, TEXT_TTL_SECONDS, maxPricePerMinute="MaxPricePerMinute")
        return {**request, **spoken}

    async def probe(self, client: Any) -> None:
        await client.describe_phone_numbers(MaxResults=1)

    async def send(self, request: Request, client: Any) -> Outcome:
        return await outcome_of(client.send_voice_message(**request), "MessageId", verdict)

    def units(self, request: Request) -> int:
        return 1

    def _speech(self, content: object) -> dict[str, str]:
        if isinstance(content, Text):
            content = Speech(text=content.body)
        if not isinstance(content, Speech):
            raise Invalid(ErrorCode.UNSUPPORTED, f"A call cannot carry {getattr(content, 'kind', 'this')}.")
        if content.voice not in VOICES:
            raise Invalid(
                ErrorCode.INVALID_CONTENT, f"There is no such voice; choose one of {', '.join(sorted(VOICES))}."
            )
        if content.ssml:
            body, kind = _ssml(within(content.text, MAX_SSML_LENGTH, "The SSML")), "SSML"
        else:
            body, kind = within(content.text, MAX_TEXT_LENGTH, "The text"), "TEXT"
        return {"MessageBody": body, "MessageBodyTextType": kind, "VoiceId": content.voice}


def _ssml(text: str) -> str:
    """Checks for a well-formed document under ``<speak>``. Declarations are refused unread: an entity can expand
    without limit."""
    if "<!" in text or "<?" in text:
        raise Invalid(ErrorCode.INVALID_CONTENT, "SSML has no declarations, comments or processing instructions here.")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - without declarations there are no entities to expand
    except ElementTree.ParseError as error:
        raise Invalid(ErrorCode.INVALID_CONTENT, f"The SSML is not well formed ({error}).") from None
    if root.tag.rpartition("}")[2] != "speak":
        raise Invalid(ErrorCode.INVALID_CONTENT, "The root of SSML is <speak>.")
    if not "".join(root.itertext()).strip() and root.find(".//audio") is None:
        raise Invalid(ErrorCode.INVALID_CONTENT, "The SSML says nothing.")
    return text
