"""Maps Meta's error codes (WhatsApp Cloud API, "Error codes", May 2026) to the platform's; the same codes occur in
responses and in statuses."""

from __future__ import annotations

from libs.messaging.errors import ErrorCode

#: The pair rate (one business number to one person): wait 4^X seconds, X = 0, 1, 2 … (Meta, "About the platform").
PAIR_RATE = 131056

#: The recipient has opted out of marketing messages only.
MARKETING_STOPPED = "131050"

META_CODES: dict[int, ErrorCode] = {
    # Try again later.
    1: ErrorCode.UNAVAILABLE,
    2: ErrorCode.UNAVAILABLE,
    131000: ErrorCode.UNAVAILABLE,
    131016: ErrorCode.UNAVAILABLE,
    131057: ErrorCode.UNAVAILABLE,
    133004: ErrorCode.UNAVAILABLE,
    133015: ErrorCode.UNAVAILABLE,
    134101: ErrorCode.UNAVAILABLE,
    2494100: ErrorCode.UNAVAILABLE,
    4: ErrorCode.THROTTLED,
    80007: ErrorCode.THROTTLED,
    130429: ErrorCode.THROTTLED,
    PAIR_RATE: ErrorCode.THROTTLED,
    132069: ErrorCode.THROTTLED,
    # The recipient.
    131021: ErrorCode.INVALID_RECIPIENT,
    131062: ErrorCode.INVALID_RECIPIENT,
    131026: ErrorCode.UNDELIVERABLE,
    131030: ErrorCode.MISCONFIGURED,
    130472: ErrorCode.BLOCKED,
    130497: ErrorCode.BLOCKED,
    130403: ErrorCode.BLOCKED,
    131047: ErrorCode.WINDOW_CLOSED,
    131049: ErrorCode.FREQUENCY_CAPPED,
    131050: ErrorCode.OPTED_OUT,
    # The content.
    100: ErrorCode.INVALID_CONTENT,
    131008: ErrorCode.INVALID_CONTENT,
    131009: ErrorCode.INVALID_CONTENT,
    131051: ErrorCode.UNSUPPORTED,
    131055: ErrorCode.UNSUPPORTED,
    131063: ErrorCode.UNSUPPORTED,
    134100: ErrorCode.UNSUPPORTED,
    131052: ErrorCode.MEDIA_FAILED,
    131053: ErrorCode.MEDIA_FAILED,
    132000: ErrorCode.VARIABLES_INCOMPLETE,
    132012: ErrorCode.VARIABLES_INCOMPLETE,
    132018: ErrorCode.VARIABLES_INCOMPLETE,
    132001: ErrorCode.TEMPLATE_MISSING,
    132005: ErrorCode.INVALID_CONTENT,
    132007: ErrorCode.TEMPLATE_REJECTED,
    132015: ErrorCode.TEMPLATE_REJECTED,
    132016: ErrorCode.TEMPLATE_REJECTED,
    132068: ErrorCode.TEMPLATE_REJECTED,
    # The account: an administrator has to act.
    0: ErrorCode.MISCONFIGURED,
    3: ErrorCode.MISCONFIGURED,
    10: ErrorCode.MISCONFIGURED,
    33: ErrorCode.MISCONFIGURED,
    190: ErrorCode.MISCONFIGURED,
    131005: ErrorCode.MISCONFIGURED,
    131031: ErrorCode.MISCONFIGURED,
    131037: ErrorCode.MISCONFIGURED,
    131045: ErrorCode.MISCONFIGURED,
    133005: ErrorCode.MISCONFIGURED,
    133006: ErrorCode.MISCONFIGURED,
    133008: ErrorCode.MISCONFIGURED,
    133009: ErrorCode.MISCONFIGURED,
    133010: ErrorCode.MISCONFIGURED,
    133016: ErrorCode.MISCONFIGURED,
    134011: ErrorCode.MISCONFIGURED,
    134102: ErrorCode.MISCONFIGURED,
    135000: ErrorCode.UNKNOWN,
    131042: ErrorCode.BILLING,
    368: ErrorCode.SPAM,
    131048: ErrorCode.SPAM,
    131064: ErrorCode.SPAM,
}


def error_code(code: int | str | None) -> ErrorCode:
    """Returns the error code for Meta's; UNKNOWN for one that is not in the table (200 to 299 are all permissions)."""
    try:
        number = int(code) if code is not None else -1
    except ValueError:
        return ErrorCode.UNKNOWN
    if 200 <= number <= 299:
        return ErrorCode.MISCONFIGURED
    return META_CODES.get(number, ErrorCode.UNKNOWN)
