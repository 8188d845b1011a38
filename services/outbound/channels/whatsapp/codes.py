"""Maps refusals of a WhatsApp message to our error codes. Meta's codes are in :mod:`libs.messaging.providers.whatsapp`;
AWS's own exceptions (model 2024-01-01) are here. If Meta's number is the code (Meta's own API) or in the message, as
``(#131056)``, it takes precedence."""

from __future__ import annotations

import re

from libs.messaging.errors import ErrorCode
from libs.messaging.providers.whatsapp import PAIR_RATE, error_code
from services.outbound.contract import NotSent, Rejected
from services.outbound.sending.outcomes import Refused, by_code

_AWS = {
    "ValidationException": ErrorCode.INVALID_CONTENT,
    "InvalidParametersException": ErrorCode.INVALID_CONTENT,
    "LimitExceededException": ErrorCode.MISCONFIGURED,
    "AccessDeniedException": ErrorCode.MISCONFIGURED,
    "AccessDeniedByMetaException": ErrorCode.MISCONFIGURED,
    "ResourceNotFoundException": ErrorCode.MISCONFIGURED,
    "ConflictException": ErrorCode.UNAVAILABLE,
}
_META = re.compile(r"\(#(\d+)\)")
#: AWS's message for an invalid recipient: "Invalid destination phone number or message Id".
_RECIPIENT = re.compile(r"destination phone number|recipient phone number|\bto\b.{0,20}\bE\.164\b", re.IGNORECASE)
#: Meta's rule for the pair rate: 4^X seconds.
_PAIR_GROWTH = 4.0


def verdict(refused: Refused) -> Rejected | NotSent:
    """Returns the outcome of a 4xx."""
    number = _number(refused)
    if number is not None:
        growth = _PAIR_GROWTH if int(number) == PAIR_RATE else 2.0
        return by_code(refused, error_code(number), number, growth)
    if refused.code == "InvalidParametersException" and _RECIPIENT.search(refused.message):
        return by_code(refused, ErrorCode.INVALID_RECIPIENT)
    return by_code(refused, _AWS.get(refused.code, ErrorCode.UNKNOWN))


def _number(refused: Refused) -> str | None:
    """Returns Meta's number, if given. botocore uses the HTTP status as the code if it finds none."""
    if refused.code.isdecimal() and refused.code != str(refused.status):
        return refused.code
    found = _META.search(refused.message)
    return found.group(1) if found else None
