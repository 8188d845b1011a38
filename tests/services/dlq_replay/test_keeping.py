"""What dies is kept whole, once, and leaves its queue only then."""

from __future__ import annotations

import json

import pytest

from libs.common.bus.base import Record
from libs.common.errors import Poison
from libs.common.receive import receive
from libs.common.settings import Settings
from libs.messaging.events.dlq import LetterKept
from services.dlq_replay.model import DLQMessage
from tests.services.dlq_replay.kit import DLQ, QUEUE, Bench, Greeted, workbench


async def test_a_letter_is_kept_whole_with_who_why_and_when() -> None:
    bench = Bench()
    await bench.dies("ann", error=Poison("call +12025550123, she knows"))
    letter = await bench.show(await bench.only())
    assert (letter["queue"], letter["service"], letter["handler"], letter["build"]) == (QUEUE, "shop", "hear", "b1")
    assert (letter["cause"], letter["exception"]) == ("rejected", "Poison")
    assert letter["text"] == "call [phone], she knows"
    assert (letter["eventType"], letter["channel"]) == ("toy.greeted.v1", "whatsapp")
    assert letter["event"]["id"] == letter["eventId"]
    assert letter["event"]["data"]["name"] == "ann"
    assert letter["attributes"] == {"type": "toy.greeted.v1", "channel": "whatsapp"}
    assert letter["correlationId"] == letter["event"]["correlationid"]
    assert letter["attempts"][0]["receives"] == 1
    assert letter["attempts"][0]["firstReceivedAt"]
    now = bench.world.clock.now().timestamp()
    assert letter["expiresAt"] == int(now) + 7 * 24 * 3600
    assert bench.world.bus.peek(DLQ) == []


async def test_the_same_death_told_twice_is_one_death() -> None:
    """The test world handles the dead-letter queue's messages twice, too."""
    bench = Bench()
    bench.world.times = 1
    await bench.dies("ann")
    bench.world.times = 2
    letter = await bench.only()
    assert letter["deaths"] == 1
    await bench.dies("bob")
    (bob,) = [each for each in await bench.letters(text="bob")]
    # Delivered twice to the shop: it died twice, and is one letter.
    assert bob["deaths"] == 2
    assert len(bench.world.said(LetterKept)) == 3


async def test_a_letter_stays_on_its_queue_until_it_is_kept() -> None:
    bench = Bench()
    inner = bench.world.store.write

    async def away(op: object) -> object:
        raise ConnectionError("away")

    bench.world.store.write = away  # type: ignore[assignment]
    await bench.dies("ann")
    assert len(bench.world.bus.peek(DLQ)) > 0
    assert await bench.letters() == []
    bench.world.store.write = inner  # type: ignore[method-assign]
    await bench.world.advance(10)
    assert bench.world.bus.peek(DLQ) == []
    assert (await bench.only())["service"] == "shop"


async def test_what_sqs_moved_by_itself_is_kept_with_the_cause_unhandled_one_letter_for_each_event() -> None:
    """A process that each receive kills: nobody is left to say why, and SQS moves the message as it is."""
    bench = Bench()
    await bench.world.publish(*(Greeted(name=name) for name in ("ann", "bob")))
    for _ in range(60):
        for record in await bench.world.bus.receive(QUEUE, 10, 0):
            await bench.world.bus.hide(record, 0)
    await bench.world.settle()
    letters = await bench.letters()
    assert {letter["cause"] for letter in letters} == {"unhandled"}
    shown = [await bench.show(letter) for letter in letters]
    assert {letter["event"]["data"]["name"] for letter in shown} == {"ann", "bob"}
    assert {letter["channel"] for letter in letters} == {"whatsapp"}
    await bench.replayed(ids=[letter["dlqMessageId"] for letter in letters])
    assert set(bench.shop.applied) == {"ann", "bob"}


async def test_a_providers_message_that_cannot_be_read_is_kept_as_it_came_and_once() -> None:
    bench = Bench()
    for body in ("not a greeting", "not a greeting"):
        await bench.world.feed("shop", body)
    letter = await bench.show(await bench.only())
    assert (letter["cause"], letter["body"], letter["queue"]) == ("malformed", "not a greeting", f"{QUEUE}-feed-shop")
    assert "eventId" not in letter
    assert letter["deaths"] == 4
    told = await bench.viewer.post("/api/dlq/simulate", json={"ids": [letter["dlqMessageId"]]})
    assert told.json()["outcomes"] == {"dies_again": 1}


async def test_a_body_that_only_looks_like_a_letter_is_no_letter_of_ours() -> None:
    bench = Bench()
    forged = json.dumps({"cause": "x", "queue": "wecare-test-contacts", "record": {"id": "1", "body": "{}"}})
    await bench.world.bus.send(DLQ, forged, {})
    await bench.world.settle()
    letter = await bench.show(await bench.only())
    assert (letter["queue"], letter["cause"]) == (QUEUE, "unhandled")


async def test_letters_of_its_own_queue_are_kept_too() -> None:
    bench = Bench()
    await bench.world.bus.send("wecare-test-dlq-replay", "not json", {})
    await bench.world.settle()
    letter = await bench.only()
    assert (letter["queue"], letter["service"], letter["cause"]) == (
        "wecare-test-dlq-replay",
        "dlq-replay",
        "malformed",
    )


async def test_letters_are_gone_after_seven_days() -> None:
    bench = Bench()
    await bench.dies("ann")
    bench.world.clock.advance(7 * 24 * 3600 + 1)
    assert await bench.letters() == []


@pytest.mark.parametrize("body", ["", "[]", '{"type": 7}', '[{"type": "a#b.v1", "id": "1"}, 3]', "\x00"])
async def test_whatever_lies_there_is_kept(body: str) -> None:
    bench = Bench(settings=Settings(stage="test"))
    record = Record(DLQ, "sqs-1", body, {}, 1, bench.world.clock.now(), bench.world.clock.now(), "h")
    for _ in range(2):
        assert await receive(bench.world.runtime, workbench, record)
    assert await bench.letters()
    rows = [await bench.world.row("dlq-replay", DLQMessage, each["dlqMessageId"]) for each in await bench.letters()]
    assert all(row and row.body for row in rows if body)
