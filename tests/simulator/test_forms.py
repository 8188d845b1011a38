"""The fast form encoding says the same as urllib's."""

from __future__ import annotations

from urllib.parse import quote_plus

from hypothesis import given
from hypothesis import strategies as st

from libs.simulator.form_encoding import quote_form


@given(st.text(st.characters(max_codepoint=127)))
def test_a_text_is_encoded_as_urllib_does(text: str) -> None:
    assert quote_form(text) == quote_plus(text)


def test_every_ascii_character_is_encoded_as_urllib_does() -> None:
    everything = "".join(map(chr, range(128)))
    assert quote_form(everything) == quote_plus(everything)
    assert quote_form("größer 👍") == quote_plus("größer 👍")
