"""The fallback by SMS or MMS when RCS cannot deliver (``FallbackConfiguration``)."""

from __future__ import annotations

from typing import Any

from libs.messaging.content import Rich
from libs.messaging.errors import ErrorCode
from libs.messaging.segments import segments
from services.outbound.contract import Account, Invalid
from services.outbound.sending.sms_voice import s3_file, within

MAX_TEXT_LENGTH = 1600


def fallback(content: Rich, account: Account) -> dict[str, Any]:
    """Returns the member, or an empty dict without a fallback. The sender is the parameter ``fallbackIdentity`` (a
    number or a sender id), or a number of the pool if the sender is a pool. Raises Invalid."""
    value: dict[str, Any] = {}
    if content.fallback_text:
        value["MessageBody"] = within(content.fallback_text, MAX_TEXT_LENGTH, "The fallback text")
    if content.fallback_media_url:
        value["MediaUrls"] = [s3_file(content.fallback_media_url)]
    if not value:
        return {}
    channel = "MMS" if content.fallback_media_url else "SMS"
    if channel == "SMS" and segments(value["MessageBody"]).too_long:
        raise Invalid(ErrorCode.INVALID_CONTENT, "The fallback text is too long for an SMS.")
    identity = account.options.get("fallbackIdentity")
    if identity:
        value["OriginationIdentity"] = identity
    elif "pool" not in account.sender:
        raise Invalid(ErrorCode.MISCONFIGURED, "Only a pool has a number to fall back to; set fallbackIdentity.")
    return {"FallbackConfiguration": {"Channel": channel, **value}}
