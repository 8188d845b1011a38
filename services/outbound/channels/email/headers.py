"""Validates the headers that a message may set; each must be a single line."""

from __future__ import annotations

import re

from libs.messaging.errors import ErrorCode
from services.outbound.contract import Invalid

#: SES: ``MessageHeader``, up to 15.
MAX_HEADERS, MAX_NAME_LENGTH, MAX_VALUE_LENGTH = 15, 126, 995
_NAME = re.compile(r"[!-9;-~]+")
#: Headers that are set by us, SES or the mail servers. ``X-SES-`` headers would select another configuration set, and
#: we would get no receipts.
_RESERVED = frozenset(
    {
        "bcc", "cc", "date", "dkim-signature", "from", "message-id", "mime-version", "received", "return-path", "sender",
        "subject", "to", "in-reply-to", "references", "list-unsubscribe", "list-unsubscribe-post", "errors-to",
        "disposition-notification-to", "return-receipt-to", "feedback-id", "arc-seal", "authentication-results",
    }
)  # fmt: skip
_RESERVED_BEGINNINGS = ("content-", "resent-", "x-ses-", "arc-")


def one_line(text: str, what: str) -> str:
    """Returns the text. Raises Invalid for a line break or other control character, which could begin another
    header."""
    if any(c < " " or c in "\x7f\x85\u2028\u2029" for c in text):
        raise Invalid(ErrorCode.INVALID_CONTENT, f"There is a line break or control character in {what}.")
    return text


def given_headers(given: dict[str, str]) -> dict[str, str]:
    """Returns the message's own headers, except Reply-To, which has a separate argument. Raises Invalid."""
    for name in given:
        if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_BEGINNINGS):
            raise Invalid(ErrorCode.INVALID_CONTENT, f"The header {name[:MAX_NAME_LENGTH]!r} cannot be set.")
        if name.lower() == "reply-to":
            one_line(given[name], "Reply-To")
    return {name: value for name, value in given.items() if name.lower() != "reply-to"}


def checked(headers: dict[str, str]) -> dict[str, str]:
    """Raises Invalid for headers that SES would refuse or might split into two."""
    if len(headers) > MAX_HEADERS:
        raise Invalid(ErrorCode.INVALID_CONTENT, f"There are more than {MAX_HEADERS} headers.")
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
            raise Invalid(ErrorCode.INVALID_CONTENT, f"{name[:MAX_NAME_LENGTH]!r} is no name of a header.")
        one_line(value, f"the header {name}")
        if not value or not value.isascii() or len(value) > MAX_VALUE_LENGTH:
            detail = f"The header {name} needs 1 to {MAX_VALUE_LENGTH} printable ASCII characters."
            raise Invalid(ErrorCode.INVALID_CONTENT, detail)
    return headers
