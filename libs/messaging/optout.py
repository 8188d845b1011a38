"""Keywords of opt-out, opt-in and help; a keyword must be the whole message.

Sources: the carriers' and AWS's required keywords (ARRET … UNSUBSCRIBE), the revocations of 47 CFR 64.1200(a)(10)
(REVOKE, OPT OUT), and common words per locale. Settings can add words (``WECARE_OPT_OUT_WORDS``) but not remove any.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache

from libs.messaging.settings import MessagingSettings


class Intent(StrEnum):
    """The intent of a keyword. The settings ``WECARE_OPT_OUT_WORDS``, ``WECARE_OPT_IN_WORDS`` and ``WECARE_HELP_WORDS``
    add keywords."""

    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    HELP = "help"


OPT_OUT = {
    "stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "opt out", "optout", "opt-out", "remove",
    "arret", "td",
}  # fmt: skip
OPT_IN = {"start", "unstop", "yes"}
HELP = {"help", "info"}
#: By language; matched independently of the contact's locale, since users may write in any language.
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
    """Returns the text for comparison: without case, width, accents, invisible characters, repeated spaces, and without
    leading or trailing characters that are no letter, digit or mark (punctuation, emoji)."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    spaced = (" " if c.isspace() else c for c in folded)
    bare = "".join(c for c in spaced if not _accent(c) and c.isprintable())
    return " ".join(_trimmed(bare).split())


def _accent(c: str) -> bool:
    """Whether ``c`` is an accent on a Latin letter or a variation selector or keycap mark (emoji)."""
    return (unicodedata.combining(c) > 0 and ord(c) < 0x0370) or c == "\u20e3" or "\ufe00" <= c <= "\ufe0f"


def _trimmed(text: str) -> str:
    written = [place for place, c in enumerate(text) if unicodedata.category(c)[0] in "LN"]
    if not written:
        return ""
    # Combining marks that follow a letter, in some scripts, belong to it.
    end = written[-1] + 1
    while end < len(text) and unicodedata.category(text[end])[0] == "M":
        end += 1
    return text[written[0] : end]


_SHIPPED: tuple[tuple[Intent, Iterable[str]], ...] = (
    (Intent.OPT_OUT, [*OPT_OUT, *(keyword for keywords in LOCAL_OPT_OUT.values() for keyword in keywords)]),
    (Intent.OPT_IN, OPT_IN),
    (Intent.HELP, HELP),
)


def keywords_of(settings: MessagingSettings) -> Mapping[str, Intent]:
    """Returns normalised keyword -> intent: the keywords above, which cannot be removed, and those of the settings.
    Raises ValueError with the setting's name for a keyword that has two intents or no letter or digit."""
    given = _given(settings)
    # Reports the later of two settings that conflict.
    for intent, keywords in reversed(given.items()):
        if conflict := clash(intent, keywords, settings):
            raise ValueError(f"WECARE_{intent.upper()}_WORDS: {conflict}")
    return _words(*given.values())


def keywords_in_force(settings: MessagingSettings) -> Mapping[str, Intent]:
    """Returns the keywords without validation, since settings may change one after the other: the first intent of a
    keyword applies, and opt-out has precedence."""
    return _words(*_given(settings).values())


def clash(intent: Intent, keywords: Iterable[str], settings: MessagingSettings) -> str | None:
    """Returns why ``keywords`` cannot be added for ``intent``, given the settings of the other intents; None if they
    can."""
    others = {each: () if each is intent else given for each, given in _given(settings).items()}
    known = _words(*others.values())
    for keyword in keywords:
        normalised = normalise(keyword)
        if not normalised:
            return f"{keyword!r} has no letter or digit"
        if known.get(normalised, intent) is not intent:
            return f"{keyword!r} is a word of {known[normalised].upper()} already, and can be of one only"
    return None


def _given(settings: MessagingSettings) -> dict[Intent, tuple[str, ...]]:
    return {
        Intent.OPT_OUT: settings.opt_out_words,
        Intent.OPT_IN: settings.opt_in_words,
        Intent.HELP: settings.help_words,
    }


@lru_cache(maxsize=64)
def _words(*more: tuple[str, ...]) -> Mapping[str, Intent]:
    found = {normalise(keyword): meaning for meaning, keywords in _SHIPPED for keyword in keywords}
    for given, meaning in zip(more, Intent, strict=True):
        for keyword in given:
            found.setdefault(normalise(keyword), meaning)
    found.pop("", None)
    return found


def intent_of(text: str, keywords: Mapping[str, Intent]) -> Intent | None:
    """Returns the intent of the message if the whole text is one of ``keywords`` (:func:`keywords_of`)."""
    return keywords.get(normalise(text))
