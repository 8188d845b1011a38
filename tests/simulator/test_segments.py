"""Encoding and parts of SMS texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.simulator.sms_voice.segments import segment


@pytest.mark.parametrize(
    ("text", "encoding", "parts"),
    [
        ("", "GSM", 1),
        ("a" * 160, "GSM", 1),
        ("a" * 161, "GSM", 2),
        ("a" * 306, "GSM", 2),
        ("a" * 307, "GSM", 3),
        ("€" * 80, "GSM", 1),
        ("€" * 81, "GSM", 2),
        ("a" * 152 + "€" + "a" * 152, "GSM", 3),
        ("Ω@ñ", "GSM", 1),
        ("я" * 70, "Unicode", 1),
        ("я" * 71, "Unicode", 2),
        ("я" * 135, "Unicode", 3),
        ("👍" * 35, "Unicode", 1),
        ("👍" * 36, "Unicode", 2),
        ("👍" * 67, "Unicode", 3),
    ],
)
def test_a_text_has_the_parts_that_are_billed(text: str, encoding: str, parts: int) -> None:
    found = segment(text)
    assert (found.encoding, found.parts) == (encoding, parts)


@given(st.text(max_size=2000))
def test_parts_never_shrink_when_text_is_added(text: str) -> None:
    assert segment(text + "я").parts >= segment(text).parts


def test_what_exceeds_ten_parts_is_too_long() -> None:
    assert not segment("a" * 1530).too_long
    assert segment("a" * 1531).too_long
    assert segment("я" * 631).too_long
