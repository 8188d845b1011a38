"""S27: however somebody writes the word, it counts; inside a sentence it does not."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.messaging import optout
from libs.messaging.optout import LOCAL_OPT_OUT, OPT_IN, OPT_OUT, Intent, keywords_of, normalise
from libs.messaging.settings import MessagingSettings

WORDS = sorted({*OPT_OUT, *(word for words in LOCAL_OPT_OUT.values() for word in words)})
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f"
SPACES = " \t\n\r\u00a0\u2003\u3000\u2009\u2028"
AROUND = ".,!?;:'\"()[]*_-~“”¡¿。！…🛑✋️👍🏽✅"
words = st.sampled_from(WORDS)


def intent(text: str, **settings: str) -> Intent | None:
    return optout.intent_of(text, keywords_of(MessagingSettings(**settings)))  # type: ignore[arg-type]


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def sprinkled(draw: st.DrawFn, text: str) -> str:
    """Characters that nobody sees, anywhere in it."""
    return "".join(c + draw(st.text(st.sampled_from(INVISIBLE), max_size=2)) for c in text)


def cased(draw: st.DrawFn, text: str) -> str:
    return "".join(draw(st.sampled_from([c.lower(), c.upper(), c])) for c in text)


@st.composite
def written(draw: st.DrawFn) -> str:
    """A word as phones, people and other alphabets' keyboards write it."""
    word = sprinkled(draw, cased(draw, draw(words)))
    word = draw(st.sampled_from([str, full_width]))(word)
    word = unicodedata.normalize(draw(st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"])), word)
    # Runs of any space, where there is one.
    word = "".join(draw(st.text(st.sampled_from(SPACES), min_size=1, max_size=3)) if c.isspace() else c for c in word)
    edge = st.text(st.sampled_from(SPACES + INVISIBLE + AROUND), max_size=4)
    return draw(edge) + word + draw(edge)


@given(written())
def test_an_opt_out_word_counts_however_it_is_written(text: str) -> None:
    assert intent(text) is Intent.OPT_OUT


@given(words, st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12), st.booleans())
def test_a_word_inside_a_sentence_is_not_an_opt_out(word: str, more: str, before: bool) -> None:
    sentence = f"{more} {word}" if before else f"{word} {more}"
    known = {normalise(each) for each in [*WORDS, *OPT_IN, "help", "info"]}
    assert (intent(sentence) is Intent.OPT_OUT) == (normalise(sentence) in known and normalise(sentence) not in OPT_IN)


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_error_and_reading_it_again_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    "text", ["STOP 🛑", "ＳＴＯＰ", "s\u200bt\u200bop", "¡ALTO!", "arrêt", "Opt\u2028Out", "退订。", "İPTAL", "रोकें।"]
)
def test_what_people_really_write(text: str) -> None:
    assert intent(text) is Intent.OPT_OUT


@pytest.mark.parametrize(
    "text", ["don't stop", "stop it", "I cannot quit", "the end.", "stops", "", "🛑", "stop please"]
)
def test_what_is_not_meant_so(text: str) -> None:
    assert intent(text) is None
