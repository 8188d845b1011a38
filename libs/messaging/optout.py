"""The words of opting out, in and of asking for help: whole messages only, never inside a sentence.

Sources: the carriers' and AWS's required keywords (ARRET … UNSUBSCRIBE), the revocations of 47 CFR 64.1200(a)(10)
(REVOKE, OPT OUT), and common words per locale. Settings can add words (``WECARE_OPT_OUT_WORDS``) and take none away.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache

from libs.common.settings import Settings


class Wish(StrEnum):
    """``WECARE_<WISH>_WORDS`` holds more words for it."""

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
    "ar": {"توقف", "إلغاء الاشتراك"},
    "de": {"stopp", "abmelden", "abbestellen"},
    "es": {"alto", "parar", "cancelar", "baja", "detener"},
    "fr": {"arreter", "desabonner", "desinscrire"},
    "hi": {"रोकें", "बंद करें"},
    "id": {"berhenti"},
    "it": {"ferma", "cancella"},
    "ja": {"停止", "配信停止"},
    "ko": {"수신거부"},
    "nl": {"afmelden"},
    "pl": {"rezygnuję"},
    "pt": {"pare", "sair"},
    "ru": {"стоп", "отписаться"},
    "tr": {"dur", "iptal"},
    "zh": {"退订", "退訂"},
}


def normalise(text: str) -> str:
    """Case, width, accents, invisible characters, inner runs of space, and whatever is no letter, digit or mark around the
    words (punctuation, emoji) do not matter."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    spaced = (" " if c.isspace() else c for c in folded)
    bare = "".join(c for c in spaced if not _accent(c) and c.isprintable())
    return " ".join(_trimmed(bare).split())


def _accent(c: str) -> bool:
    """An accent on a Latin letter, or what only chooses how the sign before it looks (emoji, keycaps)."""
    return (unicodedata.combining(c) > 0 and ord(c) < 0x0370) or c == "\u20e3" or "\ufe00" <= c <= "\ufe0f"


def _trimmed(text: str) -> str:
    written = [place for place, c in enumerate(text) if unicodedata.category(c)[0] in "LN"]
    if not written:
        return ""
    # The marks that some scripts write after a letter belong to it.
    end = written[-1] + 1
    while end < len(text) and unicodedata.category(text[end])[0] == "M":
        end += 1
    return text[written[0] : end]


_SHIPPED: tuple[tuple[Wish, Iterable[str]], ...] = (
    (Wish.OPT_OUT, [*OPT_OUT, *(word for words in LOCAL_OPT_OUT.values() for word in words)]),
    (Wish.OPT_IN, OPT_IN),
    (Wish.HELP, HELP),
)


def words_of(settings: Settings) -> Mapping[str, Wish]:
    """What each word asks for, normalised: the words above, which stay, and those of the settings. Raises ValueError, naming
    the setting, for one that asks for two things or has no letter in it."""
    return _words(settings.opt_out_words, settings.opt_in_words, settings.help_words)


@cache
def _words(*more: tuple[str, ...]) -> Mapping[str, Wish]:
    found = {normalise(word): asked for asked, words in _SHIPPED for word in words}
    for given, asked in zip(more, Wish, strict=True):
        for word in given:
            said, setting = normalise(word), f"WECARE_{asked.upper()}_WORDS"
            if not said:
                raise ValueError(f"{setting}: {word!r} has no letter or digit")
            if found.setdefault(said, asked) is not asked:
                raise ValueError(
                    f"{setting}: {word!r} is a word of {found[said].upper()} already, and can be of one only"
                )
    return found


def wish(text: str, words: Mapping[str, Wish]) -> Wish | None:
    """What the whole message asks for, if it is one of the ``words`` (:func:`words_of`)."""
    return words.get(normalise(text))
