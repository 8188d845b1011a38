"""How a text becomes parts of an SMS: the vectors that every counter of ours is checked against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.messaging.segments import BASIC, EXTENDED, segments
from libs.simulator.sms_voice.segments import segment

VECTORS = json.loads(Path("libs/messaging/segments.vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_text_is_counted_as_the_vector_says(vector: dict[str, Any]) -> None:
    counted = segments(vector["text"])
    seen = {
        "encoding": counted.encoding,
        "units": counted.units,
        "parts": counted.parts,
        "left": counted.left,
        "tooLong": counted.too_long,
        "offending": list(counted.offending),
    }
    assert seen == {name: vector[name] for name in seen}


def test_the_alphabet_has_its_127_characters_and_the_extension_table_ten() -> None:
    """The 128th of 3GPP TS 23.038 is the escape itself."""
    assert (len(BASIC), len(EXTENDED)) == (127, 10)
    assert BASIC.isdisjoint(EXTENDED)


@given(st.text(st.sampled_from([*sorted(BASIC | EXTENDED), "я", "’", "😀"]), max_size=700))
def test_what_we_count_the_carrier_counts_too(text: str) -> None:
    """The simulated carrier has its own implementation."""
    ours, theirs = segments(text), segment(text)
    assert (ours.units, ours.parts, ours.too_long) == (theirs.units, theirs.parts, theirs.too_long)


@given(st.text(st.sampled_from("aя€😀"), max_size=400), st.sampled_from("aя€😀"))
def test_a_longer_text_never_has_fewer_parts(text: str, more: str) -> None:
    assert segments(text + more).parts >= segments(text).parts
