"""The closed table of error codes: the meaning of each, whether a retry can succeed, and what a user can do.

Channels map their providers' codes to these; the provider's code and text are stored with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from libs.common.errors import CopyRefusal, Problem


class ErrorCode(StrEnum):
    CONTACT_ERASED = "contact_erased"
    INVALID_RECIPIENT = "invalid_recipient"
    INVALID_CONTENT = "invalid_content"
    NO_CONSENT = "no_consent"
    OPTED_OUT = "opted_out"
    SUPPRESSED = "suppressed"
    SENDER_NOT_ALLOWED = "sender_not_allowed"
    WINDOW_CLOSED = "window_closed"
    TEMPLATE_MISSING = "template_missing"
    TEMPLATE_REJECTED = "template_rejected"
    VARIABLES_INCOMPLETE = "variables_incomplete"
    QUIET_HOURS = "quiet_hours"
    FREQUENCY_CAPPED = "frequency_capped"
    EXPIRED = "expired"
    BUDGET_EXHAUSTED = "budget_exhausted"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    MISCONFIGURED = "misconfigured"
    UNSUPPORTED = "unsupported"
    UNDELIVERABLE = "undeliverable"
    BLOCKED = "blocked"
    SPAM = "spam"
    MEDIA_FAILED = "media_failed"
    BILLING = "billing"
    NOT_CONFIRMED = "not_confirmed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Explanation:
    """The explanation of a code. ``retryable``: a later attempt can succeed without any change by a person."""

    means: str
    do: str
    retryable: bool = False


EXPLANATIONS: dict[ErrorCode, Explanation] = {
    ErrorCode.CONTACT_ERASED: Explanation("The contact was deleted or erased.", "Nothing; do not write to them."),
    ErrorCode.INVALID_RECIPIENT: Explanation(
        "The address is missing or not valid for this channel.", "Correct the contact's number or e-mail address."
    ),
    ErrorCode.INVALID_CONTENT: Explanation(
        "The provider does not accept this content (too long, wrong type, missing part).", "Correct the message."
    ),
    ErrorCode.NO_CONSENT: Explanation(
        "The contact has not opted in to this channel.", "Ask for consent and record it before writing."
    ),
    ErrorCode.OPTED_OUT: Explanation("The contact has opted out of this channel.", "Wait until they opt in again."),
    ErrorCode.SUPPRESSED: Explanation(
        "The address is on the suppression list (hard bounce, complaint or the provider's own list).",
        "Check the address; remove the suppression only with a reason.",
    ),
    ErrorCode.SENDER_NOT_ALLOWED: Explanation(
        "The sender is not on the list of allowed senders.", "Choose an allowed sender or let an admin add it."
    ),
    ErrorCode.WINDOW_CLOSED: Explanation(
        "On WhatsApp, free text is only possible within 24 hours of the contact's last message.", "Send a template."
    ),
    ErrorCode.TEMPLATE_MISSING: Explanation(
        "There is no such template in this language.", "Choose another template or language."
    ),
    ErrorCode.TEMPLATE_REJECTED: Explanation(
        "The template is not approved: pending, paused, disabled or rejected.", "Use an approved template."
    ),
    ErrorCode.VARIABLES_INCOMPLETE: Explanation(
        "The template's variables are missing or do not fit.", "Fill in every variable of the template."
    ),
    ErrorCode.QUIET_HOURS: Explanation("It is night at the recipient's.", "It goes out when quiet hours end.", True),
    ErrorCode.FREQUENCY_CAPPED: Explanation(
        "The contact has had as many messages as the cap, or the provider's own limit, allows.",
        "Try a day later.",
        True,
    ),
    ErrorCode.EXPIRED: Explanation(
        "Its time to live ended before it could be sent.", "Send it again if still wanted.", True
    ),
    ErrorCode.BUDGET_EXHAUSTED: Explanation(
        "The day's limit of new WhatsApp recipients is used up.", "It can go out when the limit frees up.", True
    ),
    ErrorCode.THROTTLED: Explanation("The provider asked us to slow down.", "Nothing; it is tried again.", True),
    ErrorCode.UNAVAILABLE: Explanation("The provider could not be reached.", "Nothing; it is tried again.", True),
    ErrorCode.MISCONFIGURED: Explanation(
        "Our account at the provider is not set up for this (permission, sender, registration).",
        "Let an admin check the channel's settings.",
    ),
    ErrorCode.UNSUPPORTED: Explanation(
        "This channel cannot carry this kind of message.", "Choose another kind or channel."
    ),
    ErrorCode.UNDELIVERABLE: Explanation(
        "The provider could not deliver it (not on this channel, unreachable, invalid number).",
        "Try another channel.",
    ),
    ErrorCode.BLOCKED: Explanation(
        "The recipient, carrier or country blocks it.", "Do not write again on this channel."
    ),
    ErrorCode.SPAM: Explanation(
        "It was filtered as spam.", "Check content and sender registration before sending more."
    ),
    ErrorCode.MEDIA_FAILED: Explanation(
        "The attached file could not be fetched or is not accepted.", "Check the file's type, size and address."
    ),
    ErrorCode.BILLING: Explanation("The provider refused it because of payment or a spending limit.", "Check billing."),
    ErrorCode.NOT_CONFIRMED: Explanation(
        "It may or may not have been sent: the provider's answer never came.",
        "Wait for a receipt, or decide to resend.",
    ),
    ErrorCode.CANCELLED: Explanation("It was cancelled before it was sent.", "Nothing."),
    ErrorCode.UNKNOWN: Explanation("The provider gave a reason that we do not know.", "See the provider's own words."),
}

#: The code of an API problem is the error code in upper case, except for this one, for which the API has an established
#: name.
PROBLEM_CODES = {ErrorCode.WINDOW_CLOSED: "TEMPLATE_REQUIRED"}


#: Codes whose facts can have changed within the copy lag, so that a stale copy can be the cause.
MAY_LAG = frozenset(
    {
        ErrorCode.NO_CONSENT,
        ErrorCode.OPTED_OUT,
        ErrorCode.SUPPRESSED,
        ErrorCode.INVALID_RECIPIENT,
        ErrorCode.WINDOW_CLOSED,
        ErrorCode.TEMPLATE_MISSING,
        ErrorCode.TEMPLATE_REJECTED,
        ErrorCode.VARIABLES_INCOMPLETE,
    }
)


def problem_type(code: ErrorCode) -> type[Problem]:
    """Returns the exception type for a request that is refused on the basis of a service's copies."""
    return CopyRefusal if code in MAY_LAG else Problem


def problem_code(code: ErrorCode) -> str:
    """Returns the stable ``code`` of the problem document for a refusal."""
    return PROBLEM_CODES.get(code, code.value.upper())
