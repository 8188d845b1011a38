"""Search terms of a contact, and the same normalisation for a query; pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers

#: Number of leading characters in a term's key: a prefix of at least this length maps to one key.
MIN_TERM_LENGTH = 2
MAX_TERM_LENGTH = 60
MAX_TERMS = 12
_DIALLED = re.compile(r"[\d+()./\s-]+")


def folded(text: str) -> str:
    """Normalises case, width and accents: ``José`` and ``JOSE`` are the same."""
    spread = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(c for c in spread if not (unicodedata.combining(c) and ord(c) < 0x0370))


def split_terms(text: str) -> list[str]:
    """Returns the words of a text, each once, in order: runs of letters and digits, with the marks that some scripts
    need."""
    spaced = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded(text))
    return list(dict.fromkeys(term[:MAX_TERM_LENGTH] for term in spaced.split()))


def terms(name: str | None, phone: str | None, email: str | None) -> set[tuple[str, str]]:
    """Returns a contact's search terms ``(kind, term)``: the words of the name and of the address's local part, the
    number with and without its country code, the address."""
    found = {
        ("word", term) for term in [*split_terms(name or ""), *split_terms((email or "").partition("@")[0])][:MAX_TERMS]
    }
    if phone:
        found |= {("phone", number) for number in _numbers(phone)}
    if email:
        found.add(("email", email.lower()[:MAX_TERM_LENGTH]))
    return found


def _numbers(phone: str) -> set[str]:
    try:
        return {phone.lstrip("+"), phonenumbers.national_significant_number(phonenumbers.parse(phone))}
    except phonenumbers.NumberParseException:
        return {phone.lstrip("+")}


@dataclass(frozen=True)
class SearchQuery:
    """A parsed query: rows under ``kind`` whose term begins with ``term``; of those, contacts that have a word
    beginning with each of ``rest``."""

    kind: str
    term: str
    rest: tuple[str, ...] = ()


def parse_query(query: str) -> SearchQuery | None:
    """Parses a query; returns None if it is too short."""
    query = query.strip()
    if "@" in query:
        return SearchQuery("email", folded(query)[:MAX_TERM_LENGTH]) if len(query) >= MIN_TERM_LENGTH else None
    if _DIALLED.fullmatch(query):
        digits = "".join(str(unicodedata.decimal(c, "")) for c in query)
        return SearchQuery("phone", digits) if len(digits) >= MIN_TERM_LENGTH else None
    parts = sorted(split_terms(query), key=len, reverse=True)
    if not parts or len(parts[0]) < MIN_TERM_LENGTH:
        return None
    return SearchQuery("word", parts[0], tuple(parts[1:]))
