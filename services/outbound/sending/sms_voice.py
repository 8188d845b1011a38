"""Shared by the senders of SMS, voice and RCS: one AWS service (End User Messaging SMS and Voice), one form of request and one
table of refusals."""

from __future__ import annotations

import re

from libs.messaging.errors import ErrorCode
from libs.messaging.providers.sms_voice import refusal_code
from services.outbound.contract import Account, Invalid, NotSent, Outgoing, Rejected, Request
from services.outbound.sending.outcomes import Refused, by_code

PROVIDER = "pinpoint-sms-voice-v2"
#: ``TimeToLive`` of SMS, MMS and voice, and of RCS, in seconds (model 2022-03-31; AWS advises at least 10 for RCS).
TEXT_TTL_SECONDS, RCS_TTL_SECONDS = (5, 259_200), (10, 172_800)
#: A parameter of the setting ``senders`` -> the member of the request.
_PARAMETERS = {"configurationSet": "ConfigurationSetName", "protectConfiguration": "ProtectConfigurationId"}
_S3 = re.compile(r"s3://[a-z0-9.-]{3,63}/.+")


def addressed(message: Outgoing, account: Account, ttl: tuple[int, int], **more: str) -> Request:
    """The members that every request has. The provider returns ``Context``, which holds our message id, in each event. ``more``
    names further parameters and their members."""
    if len(message.message_id) > 800:
        raise Invalid(ErrorCode.INVALID_CONTENT, "The message id is longer than 800 characters.")
    request: Request = {
        "DestinationPhoneNumber": message.to,
        "OriginationIdentity": account.sender,
        "Context": {"messageId": message.message_id},
    }
    if message.seconds_to_live is not None:
        request["TimeToLive"] = min(max(message.seconds_to_live, ttl[0]), ttl[1])
    given = {
        member: account.options[name] for name, member in {**_PARAMETERS, **more}.items() if name in account.options
    }
    return {**request, **given}


def verdict(refused: Refused) -> Rejected | NotSent:
    """The outcome of a 4xx, by its reason; a fault of the phone number means an invalid recipient."""
    code = refusal_code(refused.code, refused.reason)
    if code is ErrorCode.INVALID_CONTENT and "DestinationPhoneNumber" in refused.fields:
        code = ErrorCode.INVALID_RECIPIENT
    return by_code(refused, code, refused.reason or None)


def s3_file(url: str | None) -> str:
    """The address of a file that the service fetches from a bucket. Raises Invalid."""
    if not url or len(url) > 2048 or _S3.fullmatch(url) is None:
        raise Invalid(ErrorCode.INVALID_CONTENT, "A file of an MMS needs an s3://bucket/key address (up to 2048).")
    return url


def within(text: str, longest: int, what: str) -> str:
    """The text, if it is there and not too long. Raises Invalid."""
    if not text.strip():
        raise Invalid(ErrorCode.INVALID_CONTENT, f"{what} is empty.")
    if len(text) > longest:
        raise Invalid(ErrorCode.INVALID_CONTENT, f"{what} is longer than {longest} characters.")
    return text
