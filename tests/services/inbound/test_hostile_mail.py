"""A stranger's mail takes time that grows with its length and no faster, whatever is in it."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.inbound.channels.email.html import text_of
from services.inbound.channels.email.mime import read

HOSTILE = {
    "tags without an end": "<a ",
    "values without an end": '<a x="',
    "comments without an end": "<!--",
    "comments that seem to end": "<!-- >",
    "declarations": "<![foo]>",
    "instructions": "<?x ",
    "closing tags without an end": "</a ",
    "scripts without an end": "<script>",
    "references": "&#1",
    "members": "<a a=b ",
    "slashes": "<a/",
}


def cost(html: str) -> float:
    began = process_time()
    text_of(html)
    return process_time() - began


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_html_is_read_in_a_time_that_grows_with_its_length(piece: str) -> None:
    small, large = piece * (20_000 // len(piece)), piece * (80_000 // len(piece))
    short = min(cost(small) for _ in range(3))
    long = min(cost(large) for _ in range(3))
    assert long < 12 * max(short, 0.002)


def test_one_long_tag_is_read_in_a_time_that_grows_with_its_length() -> None:
    assert cost("<a " + 'b="c" ' * 25_000 + ">") < 60 * max(cost("<a " + 'b="c" ' * 1_000 + ">"), 0.002)


@pytest.mark.parametrize("name", ["Content-Disposition", "Content-Type", "Subject", "From", "To", "X-Other"])
@pytest.mark.parametrize("piece", ["a;", "a=b;", "=?utf-8?q?x?= ", "<a@example.com>, ", "(("])
def test_long_headers_do_not_stop_a_worker(name: str, piece: str) -> None:
    def timed(length: int) -> float:
        raw = f"{name}: {piece * (length // len(piece))}\r\nSubject: Hi\r\n\r\nHello".encode()
        began = process_time()
        read(raw)
        return process_time() - began

    assert timed(160_000) < 12 * max(timed(40_000), 0.02)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([*HOSTILE.values(), "STOP", "<p>", "</p>", "<br/>", "<blockquote>", "&amp;", ">", '"', "x"]),
        max_size=60,
    )
)
def test_any_markup_is_read_and_raises_nothing(pieces: list[str]) -> None:
    text_of("".join(pieces))


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>STOP</p>", "STOP"),
        ("<!-- hidden --><div>Please <b>stop</b></div>", "Please stop"),
        ("a < b and c > d", "a < b and c > d"),
        ("<p>one<p>two<!-- never closed <p>three", "one\ntwo"),
        ("<![if !mso]><p>yes</p><![endif]>", "yes"),
        ("<blockquote>old</blockquote>new", "> old\nnew"),
    ],
)
def test_what_people_write_is_read_as_before(html: str, text: str) -> None:
    assert text_of(html) == text
