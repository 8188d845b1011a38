"""The WhatsApp feed: what is malformed says why, what is doubled is the same, and one bad message harms no other."""

import json
from pathlib import Path
from typing import Any

import pytest

from libs.common.declare.names import Names
from libs.common.errors import Malformed
from libs.common.hosts.lambda_ import LambdaHost
from libs.common.testing.world import World
from libs.messaging.content import Raw, Text
from libs.messaging.events.inbound import MessageReceived, ReceiptReceived
from services.inbound.channels.whatsapp import translate as whatsapp
from services.inbound.service import service

CASES = Path("services/inbound/channels/cases/whatsapp")
SAMPLES = Path("tests/services/inbound/samples")


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CASES / f"eum-social.event.{name}.json").read_text())
    return found


def changed(name: str, **fields: Any) -> str:
    """The sample with fields of its message or status replaced (None: taken out)."""
    envelope = sample(name)
    entry = json.loads(envelope["whatsAppWebhookEntry"])
    value = entry["changes"][0]["value"]
    (part,) = value.get("messages") or value["statuses"]
    part.update(fields)
    for field in [field for field, new in fields.items() if new is None]:
        del part[field]
    return json.dumps({**envelope, "whatsAppWebhookEntry": json.dumps(entry)})


@pytest.mark.parametrize(
    ("feed", "reason"),
    [
        ("no json", "message: not JSON"),
        ("[]", "message: not a JSON object"),
        ("{}", "message.whatsAppWebhookEntry: missing"),
        ('{"whatsAppWebhookEntry": "{"}', "whatsAppWebhookEntry: not JSON"),
        ('{"whatsAppWebhookEntry": "{}"}', "entry.id: missing or not text"),
        ('{"whatsAppWebhookEntry": "{\\"id\\": \\"1\\", \\"changes\\": [1]}"}', "entry.changes: not a list of objects"),
        (changed("inbound.text", id=None), "messages.id: missing or not text"),
        (changed("inbound.text", timestamp="soon"), "messages.timestamp: missing or not Unix seconds"),
        (changed("inbound.text", **{"from": None, "from_user_id": None}), "messages.from: missing"),
        (changed("status.sent", status=None), "statuses.status: missing or not text"),
        (changed("status.sent", timestamp=float("nan")), "whatsAppWebhookEntry: not JSON"),
        ("[" * 100_000, "message: not JSON"),
    ],
)
def test_a_malformed_message_names_the_field(feed: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason.replace("[", r"\[")):
        whatsapp.parse(feed)


def test_metas_own_webhook_must_be_about_whatsapp() -> None:
    with pytest.raises(Malformed, match=r"body\.object"):
        whatsapp.parse_meta('{"object": "page", "entry": []}')


def test_metas_own_webhook_and_awss_feed_say_the_same_event_but_what_they_call_our_number() -> None:
    ((key, direct),) = whatsapp.parse_meta((CASES.parent / "meta" / "meta.webhook.inbound-text.json").read_text())
    ((same, reported),) = whatsapp.parse(json.dumps(sample("inbound.text")))
    assert isinstance(reported, MessageReceived)
    assert isinstance(direct, MessageReceived)
    assert (same, reported.model_copy(update={"received_by": direct.received_by})) == (key, direct)
    assert reported.received_by == "phone-number-id-1a2b3c4d5e6f708192a3b4c5d6e7f809"
    assert direct.received_by == "200000000000001"


def test_half_an_emoji_is_written_as_a_question_mark() -> None:
    ((_, event),) = whatsapp.parse(changed("inbound.text", text={"body": "cut \ud83d"}))
    assert isinstance(event, MessageReceived)
    assert event.content == Text(body="cut ?")


@pytest.mark.parametrize("text", [{}, {"body": ""}, {"body": 7}, None, {"body": "x" * 6001}])
def test_text_that_is_no_text_is_kept_raw(text: Any) -> None:
    ((_, event),) = whatsapp.parse(changed("inbound.text", text=text))
    assert isinstance(event, MessageReceived)
    assert isinstance(event.content, Raw)


def test_a_status_word_that_we_do_not_know_is_kept_and_not_guessed() -> None:
    ((_, event),) = whatsapp.parse(changed("status.sent", status="teleported"))
    assert isinstance(event, ReceiptReceived)
    assert (event.status, event.provider_status) == ("unknown", "teleported")


async def test_a_feed_that_says_it_three_times_says_one_event() -> None:
    async with World([service]) as world:
        await world.feed("whatsapp", sample("inbound.text"), times=3)
        assert [event.content for event in world.said(MessageReceived)] == [Text(body="Hi, where is my order?")]


async def test_a_malformed_message_dies_alone_with_its_reason() -> None:
    async with World([service]) as world:
        await world.feed("whatsapp", changed("inbound.text", id=None))
        await world.feed("whatsapp", sample("status.read"))
        assert len(world.said(ReceiptReceived)) == 1
        letters = world.letters()
        assert {(letter["cause"], letter["text"]) for letter in letters} == {
            ("malformed", "messages.id: missing or not text")
        }


@pytest.mark.parametrize("name", ["sns.sqs.body-raw", "sns.sqs.body-non-raw"])
async def test_a_subscription_without_raw_delivery_says_the_same(name: str) -> None:
    async with World([service]) as world:
        await world.feed("whatsapp", (SAMPLES / f"{name}.json").read_text())
        assert [event.content for event in world.said(MessageReceived)] == [Text(body="Hi, where is my order?")]


async def test_a_lambda_that_is_given_such_a_record_says_the_same() -> None:
    async with World([service]) as world:
        event = json.loads((SAMPLES / "sqs.lambda.event.sns-non-raw.json").read_text())
        (record,) = event["Records"]
        queue = Names(world.settings.prefix).feed_queue(service.name, "whatsapp")
        record["eventSourceARN"] = f"arn:aws:sqs:us-east-1:111122223333:{queue}"
        assert await LambdaHost(world.runtime, [service]).records(event) == {"batchItemFailures": []}
        assert [event.content for event in world.said(MessageReceived)] == [Text(body="Hi, where is my order?")]


def test_members_that_we_do_not_know_are_kept_as_they_came() -> None:
    ((_, receipt),) = whatsapp.parse(changed("status.sent", carrier_hint={"new": 1}))
    ((_, message),) = whatsapp.parse(changed("inbound.text", mood="good"))
    assert isinstance(receipt, ReceiptReceived)
    assert isinstance(message, MessageReceived)
    assert receipt.details["unknown"] == {"statuses.carrier_hint": {"new": 1}}
    assert message.details["unknown"] == {"messages.mood": "good"}
