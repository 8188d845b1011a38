"""Kinds of address: how each is validated and normalised."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import phonenumbers

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
#: RFC 5322's dot-atom form, which mail systems deliver to.
EMAIL = re.compile(r"[^@\s\"(),:;<>\[\]\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)+")
MAX_EMAIL_LENGTH = 320
_WRITTEN_PHONE = re.compile(r"\+?[\d\s()./-]{3,40}")
#: A long number as a spreadsheet displays it, in exponential notation.
_ROUNDED = re.compile(r"\d+([.,]\d+)?[eE]\+?\d+")


@dataclass(frozen=True)
class AddressKind:
    """One kind of address.

    ``name`` is the field of a contact that holds it. With ``shared``, a contact has one such address for all channels
    of the kind; otherwise it has one for each channel, which is the provider's own id of the user.
    """

    name: str
    valid: Callable[[str], bool]
    #: ``(text, region)`` -> the normalised form, which is stored. Raises ValueError with a sentence for users.
    normalise: Callable[[str, str | None], str]
    shared: bool = True
    #: Addresses that differ only in case are the same address.
    ignores_case: bool = False
    #: Substrings of column names that indicate such addresses, the most likely first.
    column_words: tuple[str, ...] = ()
    #: Whether a cell of a spreadsheet looks like such an address.
    looks_like: Callable[[str], bool] = lambda cell: False


def to_e164(text: str, region: str | None = None) -> str:
    """Converts a phone number to E.164. ``region`` (ISO 3166) applies to a number without ``+``.

    Raises ValueError with a sentence for users.
    """
    text = text.strip()
    if _ROUNDED.fullmatch(text):
        raise ValueError("A spreadsheet has rounded the number. Format the column as text and export it again.")
    if not _WRITTEN_PHONE.fullmatch(text):
        raise ValueError("Write a phone number of digits, such as +1 202 555 0123.")
    if not text.startswith("+") and not region:
        raise ValueError("Begin with + and the country code, or give a defaultRegion.")
    try:
        number = phonenumbers.parse(text, region and region.upper())
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"{str(error).partition(') ')[2] or 'This is no phone number'}") from None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    # Checks "possible", not "valid": carriers open number ranges before the tables are published.
    if not phonenumbers.is_possible_number(number) or not is_phone(written):
        raise ValueError("The number is too short or too long for its country.")
    return written


def is_phone(text: str) -> bool:
    """Whether ``text`` is a phone number in E.164."""
    return E164.fullmatch(text) is not None


def is_email(text: str) -> bool:
    return len(text) <= MAX_EMAIL_LENGTH and EMAIL.fullmatch(text) is not None


def _to_email(text: str, region: str | None = None) -> str:
    address = text.strip().lower()
    if not is_email(address):
        raise ValueError("Write an e-mail address, such as ana@example.com.")
    return address


def _looks_like_phone(cell: str) -> bool:
    return 7 <= sum(c.isdigit() for c in cell) <= 15 and re.fullmatch(r"\s*\+?[\d\s()./-]+", cell) is not None


def _looks_like_email(cell: str) -> bool:
    return re.fullmatch(r"\s*[^@\s]+@[^@\s]+\.[^@\s]+\s*", cell) is not None


PHONE = AddressKind(
    "phone",
    is_phone,
    to_e164,
    column_words=(
        *("phone", "mobile", "cell", "whatsapp", "number", "msisdn", "tel", "telefon", "telefono", "handy", "celular"),
    ),
    looks_like=_looks_like_phone,
)
EMAIL_ADDRESS = AddressKind(
    "email",
    is_email,
    _to_email,
    ignores_case=True,
    column_words=("email", "e-mail", "mail", "correo"),
    looks_like=_looks_like_email,
)


def provider_id(pattern: str, example: str) -> AddressKind:
    """Returns the address kind of a provider's user ids that match ``pattern``; a contact has one for each such
    channel."""
    form = re.compile(pattern)

    def normalise(text: str, region: str | None = None) -> str:
        address = text.strip()
        if form.fullmatch(address) is None:
            raise ValueError(f"Write the provider's id of the user, such as {example}.")
        return address

    def valid(text: str) -> bool:
        return form.fullmatch(text) is not None

    return AddressKind(
        "providerUserIds", valid, normalise, shared=False, column_words=("user id", "userid"), looks_like=valid
    )
