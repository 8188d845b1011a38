"""Which column says what: a guess for people to correct, and the check of what they chose."""

from __future__ import annotations

import re
from collections.abc import Sequence

import phonenumbers

from libs.messaging.vocabulary import Channel
from services.bulk.model import Columns

_PHONE = ("phone", "mobile", "cell", "whatsapp", "number", "msisdn", "tel", "telefon", "telefono", "handy", "celular")
_EMAIL = ("email", "e-mail", "mail", "correo")
#: Of a contact: ``contact:name``.
OF_CONTACT = frozenset({"contact:name", "contact:zone", "contact:locale"})


def guess(columns: Sequence[str], samples: Sequence[Sequence[str]], channel: Channel | None = None) -> dict[str, str]:
    """Column names for ``phone`` and ``email``, where one looks like it: by what stands in it, then by its name."""
    found = {}
    for kind, words, looks in (("phone", _PHONE, _like_phone), ("email", _EMAIL, _like_email)):
        scores = {
            name: sum(looks(row[n]) for row in samples if n < len(row)) * 10 + (len(words) - _named(name, words))
            for n, name in enumerate(columns)
            if _named(name, words) < len(words) or (samples and all(looks(row[n]) for row in samples if n < len(row)))
        }
        if scores:
            found[kind] = max(scores, key=lambda name: scores[name])
    return found


def _named(name: str, words: Sequence[str]) -> int:
    """The place of the first word that the name holds; the number of words if it holds none."""
    folded = re.sub(r"[\s_]+", " ", name.casefold())
    return next((n for n, status in enumerate(words) if status in folded), len(words))


def _like_phone(cell: str) -> bool:
    return 7 <= sum(c.isdigit() for c in cell) <= 15 and re.fullmatch(r"\s*\+?[\d\s()./-]+", cell) is not None


def _like_email(cell: str) -> bool:
    return re.fullmatch(r"\s*[^@\s]+@[^@\s]+\.[^@\s]+\s*", cell) is not None


def address_column(
    chosen: Columns, columns: Sequence[str], samples: Sequence[Sequence[str]], channel: Channel
) -> str | None:
    """The chosen column, or the guessed one."""
    return chosen.address or guess(columns, samples).get("email" if channel is Channel.EMAIL else "phone")


def problems(chosen: Columns, columns: Sequence[str]) -> list[dict[str, str]]:
    """What of a mapping names no column, or no region."""
    there = ", ".join(columns)
    wrong = []
    if chosen.address is not None and chosen.address not in columns:
        wrong.append(
            {"field": "mapping.address", "detail": f"There is no column {chosen.address!r}; there are: {there}."}
        )
    for name, column in chosen.variables.items():
        if column not in columns and column not in OF_CONTACT:
            detail = f"There is no column {column!r}; there are: {there}."
            wrong.append({"field": f"mapping.variables.{name}", "detail": detail})
    if chosen.region is not None and chosen.region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        wrong.append(
            {"field": "mapping.region", "detail": f"{chosen.region!r} is no region; use one such as US or DE."}
        )
    return wrong
