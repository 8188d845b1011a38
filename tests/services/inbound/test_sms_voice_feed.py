"""The feeds of SMS, voice and RCS: what is malformed says why, what is doubled is the same, and one bad message harms no other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.common.errors import Malformed
from libs.common.testing.world import World
from libs.messaging.content import Raw, Text
from libs.messaging.events.contacts import ConsentChanged, ContactWroteIn
from libs.messaging.events.inbound import (
    AddressSuppressed,
    ConversationNoticed,
    MessageReceived,
    PreferenceChanged,
    ReceiptReceived,
)
from services.contacts.service import service as contacts
from services.inbound.channels.sms_voice import reports, two_way
from services.inbound.service import service

CASES = Path("services/inbound/channels/cases")
AT = datetime(2026, 9, 1, 12, tzinfo=UTC)


def sample(name: str, **fields: Any) -> dict[str, Any]:
    """The sample with members replaced (None: taken out)."""
    found: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text()) | fields
    return {member: value for member, value in found.items() if value is not None}


def event(**fields: Any) -> str:
    return json.dumps(sample("sms-voice/sms.event.TEXT_DELIVERED", **fields))


def written(**fields: Any) -> str:
    return json.dumps(sample("sms-voice-inbound/sms.inbound.text", **fields))


@pytest.mark.parametrize(
    ("feed", "reason"),
    [
        ("no json", "message: not JSON"),
        ("[]", "message: not a JSON object"),
        ("{}", "message.eventType: missing or not text"),
        (event(eventType=7), "message.eventType: missing or not text"),
        (event(messageId=None), "message.messageId: missing or not text"),
        (event(eventTimestamp=None), "message.eventTimestamp: missing or not Unix seconds"),
        (event(eventTimestamp="soon"), "message.eventTimestamp: missing or not Unix seconds"),
        (event(context=["a"]), "message.context: not an object"),
        ("[" * 100_000, "message: not JSON"),
    ],
)
def test_a_malformed_report_names_the_field(feed: str, reason: str) -> None:
    with pytest.raises(Malformed) as refused:
        reports.parse(feed)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("feed", "reason"),
    [
        ("{}", "message.inboundMessageId: missing or not text"),
        (written(inboundMessageId=""), "message.inboundMessageId: missing or not text"),
        (written(originationNumber=None), "message.originationNumber: missing or not text"),
        (written(destinationNumber=5), "message.destinationNumber: missing or not text"),
    ],
)
def test_a_malformed_message_names_the_field(feed: str, reason: str) -> None:
    with pytest.raises(Malformed) as refused:
        two_way.parse(feed, AT)
    assert reason in str(refused.value)


@pytest.mark.parametrize("body", ["", None, 7, "x" * 6001, {"a": 1}])
def test_what_is_no_text_for_us_is_kept_raw(body: Any) -> None:
    feed = json.dumps({**sample("sms-voice-inbound/sms.inbound.text"), "messageBody": body})
    ((_, received),) = two_way.parse(feed, AT)
    assert isinstance(received, MessageReceived)
    assert received.content == Raw(type="text", raw={"messageBody": body})


@pytest.mark.parametrize("context", [{"messageId": 7}, {"messageId": None}, {"messageId": "m1", "channel": "fax"}, {}])
def test_a_context_that_is_not_ours_is_not_believed(context: dict[str, Any]) -> None:
    ((_, receipt),) = reports.parse(event(context=context))
    assert isinstance(receipt, ReceiptReceived)
    assert receipt.channel == "sms"
    assert receipt.message_id in (None, "m1")


def test_prices_and_members_that_nobody_knows_are_kept_as_they_came() -> None:
    ((_, receipt),) = reports.parse(event(shoeSize=43))
    assert isinstance(receipt, ReceiptReceived)
    kept = {name: receipt.details[name] for name in ("totalMessagePrice", "totalCarrierFee", "unknown")}
    assert kept == {"totalMessagePrice": 0.00581, "totalCarrierFee": 0.003, "unknown": {"shoeSize": 43}}


async def test_what_comes_three_times_is_said_once() -> None:
    async with World([service]) as world:
        await world.feed("sms-voice", sample("sms-voice/rcs.event.RCS_READ"), times=3)
        await world.feed("sms-voice-inbound", sample("sms-voice-inbound/sms.inbound.text"), times=3)
        assert len(world.said(ReceiptReceived)) == 1
        assert [received.content for received in world.said(MessageReceived)] == [Text(body="Where is my order?")]


async def test_delivered_and_then_read_are_two_reports_though_the_first_calls_itself_final() -> None:
    async with World([service]) as world:
        await world.feed("sms-voice", sample("sms-voice/rcs.event.RCS_DELIVERED"))
        await world.feed("sms-voice", sample("sms-voice/rcs.event.RCS_READ"))
        assert [receipt.status for receipt in world.said(ReceiptReceived)] == ["delivered", "read"]


async def test_a_malformed_message_dies_alone_with_its_reason() -> None:
    async with World([service]) as world:
        await world.feed("sms-voice", event(messageId=None))
        await world.feed("sms-voice-inbound", written(originationNumber=None))
        await world.feed("sms-voice", event())
        assert len(world.said(ReceiptReceived)) == 1
        assert {(letter["cause"], letter["text"]) for letter in world.letters()} == {
            ("malformed", "message.messageId: missing or not text"),
            ("malformed", "message.originationNumber: missing or not text"),
        }


async def test_a_message_is_as_old_as_its_arrival_in_the_queue() -> None:
    async with World([service]) as world:
        came = world.clock.now()
        await world.feed("sms-voice-inbound", sample("sms-voice-inbound/sms.inbound.text"))
        (received,) = world.said(MessageReceived)
        assert received.received_at == came


async def test_a_number_that_does_not_exist_is_told_to_be_suppressed() -> None:
    async with World([service]) as world:
        await world.feed("sms-voice", sample("sms-voice/sms.event.TEXT_INVALID"))
        (suppressed,) = world.said(AddressSuppressed)
        assert (suppressed.channel, suppressed.address, suppressed.reason) == ("sms", "+12025550143", "invalid_number")


@pytest.mark.parametrize(
    "name",
    [
        "sms-voice-inbound/sms.inbound.stop",
        "sms-voice-inbound/rcs.inbound.stop",
        "sms-voice-inbound/rcs.inbound.suggestion-stop",
    ],
)
async def test_stop_is_an_opt_out_with_evidence_on_its_channel(name: str) -> None:
    async with World([service, contacts]) as world:
        await world.feed("sms-voice-inbound", sample(name), times=2)
        (changed,) = world.said(ConsentChanged)
        assert (changed.channel, changed.opted_in, changed.how) == (
            name.rpartition("/")[2].partition(".")[0],
            False,
            "keyword",
        )
        (wrote,) = world.said(ContactWroteIn)
        assert wrote.contact_id == changed.contact_id


async def test_the_unsubscribe_button_of_an_rcs_app_is_an_opt_out() -> None:
    async with World([service, contacts]) as world:
        await world.feed("sms-voice-inbound", sample("sms-voice-inbound/rcs.inbound.text"))
        await world.advance(60)
        await world.feed("sms-voice-inbound", sample("sms-voice-inbound/rcs.inbound.unsubscribe"))
        (preference,) = world.said(PreferenceChanged)
        assert (preference.address, preference.scope, preference.wanted) == ("+12025550143", "all", False)
        assert [changed.opted_in for changed in world.said(ConsentChanged)] == [True, False]
        assert {changed.contact_id for changed in world.said(ConsentChanged)} == {
            world.said(ContactWroteIn)[0].contact_id
        }


async def test_typing_is_no_message_and_no_consent() -> None:
    async with World([service, contacts]) as world:
        await world.feed("sms-voice-inbound", sample("sms-voice-inbound/rcs.inbound.typing"), times=2)
        assert [noticed.kind for noticed in world.said(ConversationNoticed)] == ["typing"]
        assert world.said(ContactWroteIn) == []
        assert world.said(ConsentChanged) == []


async def test_start_by_sms_lifts_the_stop_before_it() -> None:
    async with World([service, contacts]) as world:
        await world.feed("sms-voice-inbound", sample("sms-voice-inbound/sms.inbound.stop"))
        await world.advance(2, step=2)
        await world.feed("sms-voice-inbound", sample("sms-voice-inbound/sms.inbound.start"))
        assert [changed.opted_in for changed in world.said(ConsentChanged)] == [False, True]
