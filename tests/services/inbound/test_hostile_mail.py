"""A stranger's mail takes time that grows with its length and no faster, whatever is in it; and what still takes too long is
ended, while the others of its queue are handled."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from time import monotonic, process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.handle import feeds
from libs.common.handle.feeds import translated
from libs.common.isolated import MIB, Isolated
from libs.common.testing.world import World
from libs.messaging.content import Email, Raw
from libs.messaging.events.inbound import MessageReceived
from services.inbound.parsing.mail import reader as mail
from services.inbound.parsing.mail.html import text_of
from services.inbound.parsing.mail.mime import read
from services.inbound.service import service
from tests.services.inbound.test_email_feed import BUCKET, sample

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


# -- whole mails -----------------------------------------------------------------------------------


def nested(depth: int, lines: int) -> bytes:
    """Each line is compared with the boundary of each level."""
    head = b"From: alex@example.com\r\nSubject: Hi\r\n"
    levels = [b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth)]
    return head + b"".join(levels) + b"\r\n" + b"--\n" * lines


def headers(count: int) -> bytes:
    return b"".join(b"X%d: b\n" % n for n in range(count)) + b"Subject: Hi\n\nHello"


def parameters(count: int) -> bytes:
    part = b"--b\nContent-Type: text/plain;" + b"a*0=x;" * 300 + b"\n\nx\n"
    return b"Content-Type: multipart/mixed; boundary=b\n\n" + part * count


def no_charset(count: int) -> bytes:
    return b"Content-Type: text/plain; charset=punycode\n\n" + b"ab9c" * count


@pytest.mark.parametrize(
    ("made", "small"), [(headers, 2_500), (parameters, 10), (no_charset, 10_000)], ids=["headers", "parts", "charset"]
)
def test_a_mail_of_many_parts_is_read_in_a_time_that_grows_with_its_length(
    made: Callable[[int], bytes], small: int
) -> None:
    def timed(count: int) -> float:
        raw = made(count)
        began = process_time()
        read(raw)
        return process_time() - began

    assert timed(8 * small) < 24 * max(min(timed(small) for _ in range(3)), 0.01)


@pytest.mark.parametrize("name", ["Content-Type", "Content-Disposition"])
def test_a_header_that_the_library_fails_at_is_no_error(name: str) -> None:
    assert read(f"{name}: {'a*1*=%41;' * 5}\nSubject: Hi\n\nHello".encode()).content.kind in ("email", "raw")


def reported(raw: bytes, email_id: str = "mail-1") -> dict[str, Any]:
    """As SES tells of it, with the mail inside."""
    found = sample("inbound.html-and-attachments")
    found["mail"]["messageId"] = email_id
    found["receipt"]["action"]["encoding"] = "BASE64"
    return {**found, "content": b64encode(raw).decode()}


@pytest.mark.parametrize("name", ["inbound.html-and-attachments", "inbound.Received.sns-action", "event.Delivery"])
async def test_a_message_says_the_same_in_this_process_and_in_a_child(name: str) -> None:
    (feed,) = (feed for feed in service.feeds if feed.name == "email")
    async with World([service]) as world:
        at, text = world.clock.now(), json.dumps(sample(name))
        here = await translated(replace(feed, max_inline_characters=None), text, at)
        assert await translated(replace(feed, max_inline_characters=0), text, at) == here


async def slowest_turn(work: Any) -> float:
    """The longest time for which the event loop did nothing else while ``work`` was done."""
    longest, done = 0.0, asyncio.ensure_future(work)
    while not done.done():
        began = monotonic()
        await asyncio.sleep(0)
        longest = max(longest, monotonic() - began)
    await done
    return longest


async def test_a_mail_that_takes_seconds_keeps_nobody_else_from_being_handled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feeds, "_TRANSLATORS", Isolated(cpu_seconds=1, wait_seconds=60, output_bytes=4 * MIB))
    body = json.dumps(reported(nested(800, 50_000)))
    assert len(body) < 262_144, "as long as SNS takes them"
    async with World([service], times=1) as world:
        assert await slowest_turn(world.feed("email", body)) < 1
        (letter,) = world.letters()
        assert (letter["cause"], letter["text"]) == (
            "malformed",
            "message: reading it takes more than 1 s of computing time",
        )
        await world.feed("email", reported(b"From: alex@example.com\n\nHello", "mail-2"))
        (received,) = world.said(MessageReceived)
    assert isinstance(received.content, Email)
    assert received.content.text == "Hello"


@pytest.mark.parametrize(
    ("limits", "why"),
    [({"cpu_seconds": 1}, "computing time"), ({"cpu_seconds": 60, "memory_bytes": 96 * MIB}, "memory")],
    ids=["time", "memory"],
)
async def test_a_kept_mail_that_cannot_be_read_within_limits_is_a_message_that_says_so(
    limits: dict[str, int], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "_READERS", Isolated(wait_seconds=60, output_bytes=MIB, **limits))
    raw = nested(250, 400_000) if why == "computing time" else b"From: alex@example.com\n\n" + b"x\n" * 8_000_000
    notification = sample("inbound.Received.s3-action")
    key = notification["mail"]["messageId"]
    async with World([service]) as world:
        await world.files.put(BUCKET, key, raw, "message/rfc822")
        assert await slowest_turn(world.feed("email", notification)) < 1
        (received,) = world.said(MessageReceived)
        assert not world.letters()
    assert isinstance(received.content, Raw)
    assert why in received.content.raw["unreadable"]
    assert (received.sender or "").endswith("@example.com")
    assert received.details["raw"] == f"s3://{BUCKET}/{key}"
