"""The words of opting out, in and of asking for help: whole messages only, never inside a sentence.

Sources: the carriers' and AWS's required keywords (ARRET … UNSUBSCRIBE), the revocations of 47 CFR 64.1200(a)(10)
(REVOKE, OPT OUT), and common words per locale, which settings can extend.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from enum import StrEnum


class Wish(StrEnum):
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    HELP = "help"


OPT_OUT = {
    "stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "opt out", "optout", "opt-out", "remove",
    "arret", "td",
}  # fmt: skip
OPT_IN = {"start", "unstop", "yes"}
HELP = {"help", "info"}
#: By language; matched whatever the contact's locale is, since people write in their own language.
LOCAL_OPT_OUT = {
    "de": {"stopp", "abmelden"},
    "es": {"alto", "parar", "cancelar", "baja"},
    "fr": {"arreter", "desabonner"},
    "hi": {"रोकें", "बंद करें"},
    "it": {"ferma", "cancella"},
    "nl": {"afmelden"},
    "pt": {"pare", "sair"},
}


def normalise(text: str) -> str:
    """Case, width, accents, outer punctuation and inner runs of space do not matter."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    bare = "".join(c for c in folded if not (unicodedata.combining(c) and ord(c) < 0x0370) and c.isprintable())
    return " ".join(bare.split()).strip(" .!?,;:\"'()[]*_“”‘’¡¿")


def _all(words: Iterable[str]) -> frozenset[str]:
    return frozenset(normalise(word) for word in words)


_OUT = _all([*OPT_OUT, *(word for words in LOCAL_OPT_OUT.values() for word in words)])
_IN = _all(OPT_IN)
_HELP = _all(HELP)


def wish(text: str, more_opt_out: Iterable[str] = ()) -> Wish | None:
    """What the whole message asks for, if it is one of the words."""
    said = normalise(text)
    if said in _OUT or said in _all(more_opt_out):
        return Wish.OPT_OUT
    if said in _IN:
        return Wish.OPT_IN
    if said in _HELP:
        return Wish.HELP
    return None
