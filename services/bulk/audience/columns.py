"""Column mapping: guesses it for users to correct, and validates their choice."""

from __future__ import annotations

import re
from collections.abc import Sequence

import phonenumbers

from libs.messaging.addresses import AddressKind
from libs.messaging.channels import Channel
from services.bulk.model import Columns

#: Fields of a contact as variables: ``contact:name``.
OF_CONTACT = frozenset({"contact:name", "contact:zone", "contact:locale"})


def guess(columns: Sequence[str], samples: Sequence[Sequence[str]]) -> dict[str, str]:
    """Returns the most likely column of each kind of address, by the kind's name: ``phone``, ``email``."""
    kinds = {kind.name: kind for channel in Channel for kind in channel.traits.addresses if kind.shared}
    found = {name: _column_of(kind, columns, samples) for name, kind in kinds.items()}
    return {name: column for name, column in found.items() if column is not None}


def _column_of(kind: AddressKind, columns: Sequence[str], samples: Sequence[Sequence[str]]) -> str | None:
    """Guesses by the column's values first, then by its name; None if no column matches."""
    words, looks = kind.column_words, kind.looks_like
    scores = {
        name: sum(looks(row[n]) for row in samples if n < len(row)) * 10 + (len(words) - _named(name, words))
        for n, name in enumerate(columns)
        if _named(name, words) < len(words) or (samples and all(looks(row[n]) for row in samples if n < len(row)))
    }
    return max(scores, key=lambda name: scores[name]) if scores else None


def _named(name: str, words: Sequence[str]) -> int:
    """Returns the index of the first word that the name contains; the number of words if it contains none."""
    folded = re.sub(r"[\s_]+", " ", name.casefold())
    return next((n for n, word in enumerate(words) if word in folded), len(words))


def address_column(
    chosen: Columns, columns: Sequence[str], samples: Sequence[Sequence[str]], channel: Channel
) -> str | None:
    """Returns the chosen column, or the guessed one."""
    guessed = (_column_of(kind, columns, samples) for kind in channel.traits.addresses)
    return chosen.address or next((name for name in guessed if name is not None), None)


def problems(chosen: Columns, columns: Sequence[str]) -> list[dict[str, str]]:
    """Returns the parts of a mapping that name an unknown column or region."""
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
