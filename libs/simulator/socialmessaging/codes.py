"""Meta's error codes as they appear in statuses (facts 2.10)."""

from __future__ import annotations

from typing import Any

HREF = "https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes"

_TITLES: dict[int, tuple[str, str]] = {
    368: ("Temporarily blocked for policies violations", "The account is restricted for violating a policy."),
    130429: ("Rate limit hit", "Message failed to send because there were too many messages sent from this number."),
    131000: ("Something went wrong", "Message failed to send because of an unknown error."),
    131008: ("Required parameter is missing", "A required parameter is missing."),
    131021: ("Recipient cannot be sender", "Recipient and sender are the same phone number."),
    131026: ("Message undeliverable", "Message Undeliverable."),
    131031: ("Account has been locked", "The account is locked."),
    131042: ("Business eligibility payment issue", "There is a problem with the payment method."),
    131047: ("Re-engagement message", "More than 24 hours have passed since the recipient last replied."),
    131049: (
        "This message was not delivered to maintain healthy ecosystem engagement.",
        "Not delivered to maintain healthy ecosystem engagement.",
    ),
    131050: (
        "Unable to deliver the message. This recipient has chosen to stop receiving marketing messages.",
        "The recipient stopped marketing messages.",
    ),
    131053: ("Media upload error", "The media could not be used."),
    131056: (
        "(Business Account, Consumer Account) pair rate limit hit",
        "Too many messages sent from this number to the same recipient.",
    ),
    131062: ("Business-scoped user id not allowed", "Authentication templates need a phone number."),
    132000: (
        "Number of parameters does not match the expected number of params",
        "The parameters do not match those of the template.",
    ),
    132001: ("Template name does not exist in the translation", "The template does not exist or is not approved."),
    132005: ("Translated text too long", "The text is too long with its parameters."),
    132012: ("Parameter format does not match format in the created template", "A parameter has another format."),
    132015: ("Template is paused", "The template is paused because of low quality."),
    132016: ("Template is disabled", "The template is disabled for good."),
    132018: ("Template parameter validation error", "There is an issue with the parameters."),
}


def meta_error(code: int, details: str | None = None) -> dict[str, Any]:
    """`{code, title, message, error_data{details}, href}` as in `statuses[].errors[]`."""
    title, usual = _TITLES[code]
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details or usual},
        "href": HREF,
    }


def known_code(code: int) -> bool:
    return code in _TITLES
