"""The feed of SES: what is malformed says why, mail in the bucket is read from there, nothing that anybody writes does harm."""

import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.errors import Malformed
from libs.common.testing.world import World
from libs.messaging.content import MAX_EMAIL_BYTES, Email, Raw
from libs.messaging.events.inbound import AddressSuppressed, EmailStored, MessageReceived, ReceiptReceived
from services.inbound.channels.email import translate as email
from services.inbound.parsing.mail.mime import read
from services.inbound.service import service

CASES = Path("services/inbound/channels/cases/email")
BUCKET = "wecare-test-inbound-mail"


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CASES / f"ses.{name}.json").read_text())
    return found


def without(name: str, *path: str) -> str:
    """The sample without one member."""
    whole = at = sample(name)
    for part in path[:-1]:
        at = at[part]
    del at[path[-1]]
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("feed", "reason"),
    [
        ("no json", "message: not JSON"),
        ("[]", "message: not a JSON object"),
        ("{}", "message.eventType: missing"),
        (without("event.Send", "mail", "messageId"), "mail.messageId: missing or not text"),
        (without("event.Send", "mail", "timestamp"), "mail.timestamp: missing or not a time"),
        (
            json.dumps({**sample("event.Delivery"), "delivery": {"timestamp": "soon"}}),
            "delivery.timestamp: missing or not a time",
        ),
        (json.dumps({**sample("event.Bounce.Undetermined"), "bounce": []}), "message.bounce: not an object"),
        (
            json.dumps({**sample("event.Bounce.Permanent-General"), "bounce": {"bounceType": "Permanent",
             "bouncedRecipients": [{}]}}), "bouncedRecipients.emailAddress: missing",
        ),
        (without("inbound.Received.sns-action", "mail", "messageId"), "mail.messageId: missing"),
        (
            json.dumps({**sample("inbound.Received.sns-action"), "content": "not base64!"}),
            "message.content: not base64",
        ),
        (without("inbound.Received.s3-action", "receipt", "action", "objectKey"), "receipt.action.objectKey: missing"),
    ],
)  # fmt: skip
def test_a_malformed_message_names_the_field(feed: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        email.parse(feed)


async def test_a_bounce_that_is_told_three_times_is_one_receipt_and_one_suppression() -> None:
    async with World([service]) as world:
        await world.feed("email", sample("event.Bounce.Permanent-General"), times=3)
        assert len(world.said(ReceiptReceived)) == 1
        assert [each.reason for each in world.said(AddressSuppressed)] == ["hard_bounce"]


async def test_mail_in_our_bucket_is_read_from_there_and_is_the_message_that_the_feed_would_have_brought() -> None:
    reported = sample("inbound.Received.s3-action")
    raw = b64decode(sample("inbound.html-and-attachments")["content"])
    async with World([service]) as world:
        await world.files.put(BUCKET, reported["mail"]["messageId"], raw, "message/rfc822")
        await world.feed("email", reported, times=2)
        assert len(world.said(EmailStored)) == 1
        (received,) = world.said(MessageReceived)
    assert isinstance(received.content, Email)
    assert received.content.text == "See the picture"
    assert [file.filename for file in received.content.attachments] == ["photo.png", "evil.pdf"]
    assert received.in_reply_to == "0100018f00000001-00000000-0000-4000-8000-000000000001-000000"
    assert received.details["raw"] == f"s3://{BUCKET}/{reported['mail']['messageId']}"


async def test_mail_that_is_not_there_yet_is_read_once_it_is() -> None:
    reported = sample("inbound.Received.s3-action")
    async with World([service]) as world:
        await world.feed("email", reported)
        assert world.said(MessageReceived) == []
        await world.files.put(
            BUCKET, reported["mail"]["messageId"], b"From: alex@example.com\n\nHello", "message/rfc822"
        )
        await world.advance(120, step=5)
        assert len(world.said(MessageReceived)) == 1


async def test_mail_is_read_from_no_bucket_but_ours() -> None:
    reported = sample("inbound.Received.s3-action")
    reported["receipt"]["action"]["bucketName"] = "somebody-elses"
    async with World([service]) as world:
        await world.feed("email", reported)
        assert {letter["cause"] for letter in world.letters()} == {"rejected"}
        assert world.said(MessageReceived) == []


def test_two_mails_with_the_same_message_id_are_two_messages() -> None:
    """Whoever writes chooses it; ours derives from SES's id."""
    first, second = sample("inbound.Received.sns-action"), sample("inbound.Received.sns-action")
    second["mail"]["messageId"] += "x"
    ids = [event.message_id for one in (first, second) for _, event in email.parse(json.dumps(one))
           if isinstance(event, MessageReceived)]  # fmt: skip
    assert len(set(ids)) == 2


def test_a_message_id_that_looks_like_one_of_ours_is_not_taken_for_it() -> None:
    reported = sample("inbound.Received.sns-action")
    ours = "0100018f00000001-00000000-0000-4000-8000-000000000001-000000"
    reported["content"] = b64encode(f"From: a@example.com\nMessage-ID: {ours}@x\n\nhi".encode()).decode()
    ((_, event),) = email.parse(json.dumps(reported))
    assert isinstance(event, MessageReceived)
    assert event.provider_message_id != ours


def nested(depth: int) -> bytes:
    """A multipart in a multipart in a multipart …"""
    head = b"From: a@example.com\n"
    for n in range(depth):
        head += b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n)
    return head + b"\nhello\n"


@pytest.mark.parametrize("depth", [10, 5_000])
def test_a_mail_nested_without_end_is_kept_raw_or_read(depth: int) -> None:
    assert isinstance(read(nested(depth)).content, Raw | Email)


def test_a_long_mail_is_cut_between_two_characters_and_says_so() -> None:
    found = read(b"Subject: long\nContent-Type: text/plain; charset=utf-8\n\n" + "ü".encode() * MAX_EMAIL_BYTES)
    assert isinstance(found.content, Email)
    assert found.content.text is not None
    assert set(found.content.text) == {"ü"}
    assert len(found.content.text.encode()) == MAX_EMAIL_BYTES // 2
    assert found.details["cut"] is True


def test_more_attachments_than_a_message_holds_are_counted() -> None:
    part = b'--b\nContent-Type: application/pdf\nContent-Disposition: attachment; filename="a.pdf"\n\nx\n'
    found = read(b'Content-Type: multipart/mixed; boundary="b"\n\n' + part * 30 + b"--b--\n")
    assert isinstance(found.content, Email)
    assert (len(found.content.attachments), found.details["attachments"]) == (20, 30)


PIECES = st.sampled_from(
    [b"From: a@example.com\n", b"Subject: =?utf-9?q?x?=\n", b"Subject: =?utf-8?b?/w==?=\n", b"To: <<>>,;:@\n",
     b"Content-Type: multipart/mixed; boundary=b\n", b"Content-Type: text/html; charset=\xff\n", b"--b\n", b"--b--\n",
     b"Content-Transfer-Encoding: base64\n", b"Content-Disposition: attachment; filename*=utf-9''%ff%00/../x\n",
     b"Message-ID: <[@]>\n", b"In-Reply-To: <a b\n", b"\n", b"\x00", b"\xed\xa0\x80", b"Content-Type: \n", b"a" * 100]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=40), max_size=25))
def test_no_bytes_break_the_reader(pieces: list[bytes]) -> None:
    found = read(b"".join(pieces))
    assert json.dumps(found.content.model_dump(mode="json")).encode("utf-8")
    assert all("\n" not in value and "\r" not in value for value in found.headers.values())
