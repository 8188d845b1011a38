"""Addresses as people write them, in the one form in which they are kept."""

from __future__ import annotations

import re

import phonenumbers

from libs.messaging.checks import E164

_WRITTEN = re.compile(r"\+?[\d\s()./-]{3,40}")


def to_e164(text: str, region: str | None = None) -> str:
    """A phone number in E.164. ``region`` (ISO 3166) is where a number without ``+`` is dialled.

    Raises ValueError with a sentence for people."""
    text = text.strip()
    if not _WRITTEN.fullmatch(text):
        raise ValueError("Write a phone number of digits, such as +1 202 555 0123.")
    if not text.startswith("+") and not region:
        raise ValueError("Begin with + and the country code, or give a defaultRegion.")
    try:
        number = phonenumbers.parse(text, region and region.upper())
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"{str(error).partition(') ')[2] or 'This is no phone number'}") from None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    # Possible, not valid: carriers open ranges faster than tables of them are published.
    if not phonenumbers.is_possible_number(number) or not E164.fullmatch(written):
        raise ValueError("The number is too short or too long for its country.")
    return written
