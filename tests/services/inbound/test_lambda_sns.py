"""A function that is subscribed to a topic itself gets what a queue would have got, and says the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libs.common.declare.names import Names
from libs.common.errors import Malformed
from libs.common.hosts.lambda_ import LambdaHost
from libs.common.testing.world import World
from libs.messaging.events.inbound import MessageReceived, ReceiptReceived
from services.inbound.service import service
from tests.channels.test_translators import EXPECTED, as_json, in_a_word
from tests.services.inbound.kit import DELIVERY, SAMPLES

NAME = "sns.lambda.event.json"


def reported(feed: str, prefix: str, message: str | None = None) -> dict[str, Any]:
    """The sample, from the topic of a feed of ours."""
    event: dict[str, Any] = json.loads((SAMPLES / NAME).read_text())
    (record,) = event["Records"]
    record["Sns"]["TopicArn"] = f"arn:aws:sns:us-east-1:111122223333:{Names(prefix).feed_topic(feed)}"
    if message is not None:
        record["Sns"]["Message"] = message
    return event


async def test_the_sample_says_what_the_feed_says_and_once_however_often_it_comes() -> None:
    """Run with -s to read it."""
    async with World([service]) as world:
        host = LambdaHost(world.runtime, [service])
        for _ in range(2):
            assert await host.answer(reported("whatsapp", world.settings.prefix)) == {}
        (said,) = world.said(MessageReceived)
        found = as_json([("message#wamid.SAMPLEINBOUND00000000000000000000001", said)])
        assert found == EXPECTED["whatsapp"]["eum-social.event.inbound.text.json"]
        print(f"{NAME.removesuffix('.json'):62} {said.TYPE.removesuffix('.v1'):28} {in_a_word(found[0]['data'])}")


async def test_the_topic_tells_which_feed_it_is() -> None:
    async with World([service]) as world:
        host = LambdaHost(world.runtime, [service])
        for _ in range(2):
            await host.answer(reported("email", world.settings.prefix, DELIVERY))
        assert [(said.channel, said.status) for said in world.said(ReceiptReceived)] == [("email", "delivered")]


async def test_a_message_without_a_time_of_its_own_gets_that_of_the_notification() -> None:
    async with World([service]) as world:
        body = {"inboundMessageId": "in-1", "originationNumber": "+12025550143", "destinationNumber": "+12025550100",
                "messageBody": "Hi", "messageKeyword": "KEYWORD_X"}  # fmt: skip
        event = reported("sms-voice-inbound", world.settings.prefix, json.dumps(body))
        for _ in range(2):
            await LambdaHost(world.runtime, [service]).answer(event)
        (said,) = world.said(MessageReceived)
        assert said.received_at.isoformat() == "2026-09-01T12:00:00.978000+00:00"


async def test_what_cannot_be_read_dies_with_its_reason_and_does_not_come_again() -> None:
    async with World([service]) as world:
        host = LambdaHost(world.runtime, [service])
        for _ in range(2):
            assert await host.answer(reported("whatsapp", world.settings.prefix, "no json")) == {}
        assert {(letter["cause"], letter["text"]) for letter in world.letters()} == {("malformed", "message: not JSON")}
        assert {letter["exception"] for letter in world.letters()} == {Malformed.__name__}


async def test_a_topic_that_feeds_nothing_here_is_named() -> None:
    async with World([service]) as world:
        event = json.loads((SAMPLES / NAME).read_text())
        with pytest.raises(LookupError, match=r"the topic whatsapp-events feeds no queue .*wecare-test-feed-whatsapp"):
            await LambdaHost(world.runtime, [service]).answer(event)
        assert world.letters() == []
