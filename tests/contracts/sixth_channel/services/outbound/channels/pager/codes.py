"""What the provider's refusals mean."""

from __future__ import annotations

from libs.messaging.errors import ErrorCode
from services.outbound.contract import NotSent, Rejected
from services.outbound.sending.outcomes import Refused, by_code

_CODES = {
    "slow_down": ErrorCode.THROTTLED,
    "too_long": ErrorCode.INVALID_CONTENT,
    "unknown_pager": ErrorCode.INVALID_RECIPIENT,
    "unauthorized": ErrorCode.MISCONFIGURED,
}


def verdict(refused: Refused) -> Rejected | NotSent:
    """The outcome of a 4xx."""
    return by_code(refused, _CODES.get(refused.code, ErrorCode.UNKNOWN))
