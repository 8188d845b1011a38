"""Meta's error codes for WhatsApp in our words; the same in a send's answer, in statuses and in account notices.

Source: Meta, WhatsApp Business Platform, *Error codes* (May 2026), and AWS End User Messaging Social's advice on 131042.
"""

from __future__ import annotations

from libs.messaging.errors import ErrorCode

_CODES: dict[ErrorCode, tuple[int, ...]] = {
    # Out of our hands for a while: unknown fault, maintenance, service down.
    ErrorCode.UNAVAILABLE: (1, 2, 131000, 131016, 131057, 2494100, 133004, 133015, 134101),
    # 131048 is the spam limit on the number: stop its campaigns, try hours later.
    ErrorCode.THROTTLED: (4, 80007, 130429, 131048, 131056, 132069, 133016),
    ErrorCode.FREQUENCY_CAPPED: (131049,),
    ErrorCode.OPTED_OUT: (131050,),
    ErrorCode.WINDOW_CLOSED: (131047,),
    ErrorCode.INVALID_RECIPIENT: (131021, 131030, 131062),
    # 130472: this user is in an experiment without marketing messages.
    ErrorCode.UNDELIVERABLE: (131026, 130472),
    ErrorCode.BLOCKED: (130403, 130497),
    ErrorCode.INVALID_CONTENT: (100, 131008, 131009, 131063, 132005, 134011, 135000),
    ErrorCode.VARIABLES_INCOMPLETE: (132000, 132012, 132018),
    ErrorCode.TEMPLATE_MISSING: (132001,),
    ErrorCode.TEMPLATE_REJECTED: (132007, 132015, 132016, 132068, 131064),
    ErrorCode.UNSUPPORTED: (131051, 131055, 134100, 134102),
    ErrorCode.MEDIA_FAILED: (131052, 131053),
    ErrorCode.BILLING: (131042,),
    ErrorCode.MISCONFIGURED: (
        0, 3, 10, 33, 190, 368, 131005, 131031, 131037, 131045, 133005, 133006, 133008, 133009, 133010,
    ),
}  # fmt: skip
_BY_META = {number: code for code, numbers in _CODES.items() for number in numbers}


def error_code(meta_code: int) -> ErrorCode:
    """Our word for Meta's number; ``unknown`` for one that we have not heard of."""
    if 200 <= meta_code <= 299:  # permissions of the access token
        return ErrorCode.MISCONFIGURED
    return _BY_META.get(meta_code, ErrorCode.UNKNOWN)
