"""What dies is kept whole, once, and leaves its queue only then."""

from __future__ import annotations

import json

import pytest

from libs.common.bus.base import Record
from libs.common.errors import Poison
from libs.common.handle.receive import receive
from libs.common.settings import Settings
from libs.messaging.events.dlq import LetterKept
from services.dlq_replay.model import DLQMessage
from tests.services.dlq_replay.kit import DLQ, QUEUE, Bench, Greeted, workbench


async def test_a_letter_is_kept_whole_with_who_why_and_when() -> None:
    bench = Bench()
    await bench.dies("ann", error=Poison("call +12025550123, she knows"))
    dead_letter = await bench.show(await bench.only())
    assert (dead_letter["queue"], dead_letter["service"], dead_letter["handler"], dead_letter["build"]) == (
        QUEUE,
        "shop",
        "hear",
        "b1",
    )
    assert (dead_letter["cause"], dead_letter["exception"]) == ("rejected", "Poison")
    assert dead_letter["text"] == "call [phone], she knows"
    assert (dead_letter["eventType"], dead_letter["channel"]) == ("toy.greeted.v1", "whatsapp")
    assert dead_letter["event"]["id"] == dead_letter["eventId"]
    assert dead_letter["event"]["data"]["name"] == "ann"
    assert dead_letter["attributes"] == {"type": "toy.greeted.v1", "channel": "whatsapp"}
    assert dead_letter["correlationId"] == dead_letter["event"]["correlationid"]
    assert dead_letter["attempts"][0]["receives"] == 1
    assert dead_letter["attempts"][0]["firstReceivedAt"]
    now = bench.world.clock.now().timestamp()
    assert dead_letter["expiresAt"] == int(now) + 7 * 24 * 3600
    assert bench.world.bus.peek(DLQ) == []


async def test_the_same_death_told_twice_is_one_death() -> None:
    """The test world handles the dead-letter queue's messages twice, too."""
    bench = Bench()
    bench.world.times = 1
    await bench.dies("ann")
    bench.world.times = 2
    dead_letter = await bench.only()
    assert dead_letter["deaths"] == 1
    await bench.dies("bob")
    (bob,) = [each for each in await bench.letters(text="bob")]
    # Delivered twice to the shop: it died twice, and is one dead letter.
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
            await bench.world.bus.change_visibility(record, 0)
    await bench.world.settle()
    dead_letters = await bench.letters()
    assert {dead_letter["cause"] for dead_letter in dead_letters} == {"unhandled"}
    shown = [await bench.show(dead_letter) for dead_letter in dead_letters]
    assert {dead_letter["event"]["data"]["name"] for dead_letter in shown} == {"ann", "bob"}
    assert {dead_letter["channel"] for dead_letter in dead_letters} == {"whatsapp"}
    await bench.replayed(ids=[dead_letter["dlqMessageId"] for dead_letter in dead_letters])
    assert set(bench.shop.applied) == {"ann", "bob"}


async def test_a_providers_message_that_cannot_be_read_is_kept_as_it_came_and_once() -> None:
    bench = Bench()
    for body in ("not a greeting", "not a greeting"):
        await bench.world.feed("shop", body)
    dead_letter = await bench.show(await bench.only())
    assert (dead_letter["cause"], dead_letter["body"], dead_letter["queue"]) == (
        "malformed",
        "not a greeting",
        f"{QUEUE}-feed-shop",
    )
    assert "eventId" not in dead_letter
    assert dead_letter["deaths"] == 4
    reported = await bench.viewer.post("/api/dlq/simulate", json={"ids": [dead_letter["dlqMessageId"]]})
    assert reported.json()["outcomes"] == {"dies_again": 1}


async def test_a_body_that_only_looks_like_a_letter_is_no_letter_of_ours() -> None:
    bench = Bench()
    forged = json.dumps({"cause": "x", "queue": "wecare-test-contacts", "record": {"id": "1", "body": "{}"}})
    await bench.world.bus.send(DLQ, forged, {})
    await bench.world.settle()
    dead_letter = await bench.show(await bench.only())
    assert (dead_letter["queue"], dead_letter["cause"]) == (QUEUE, "unhandled")


async def test_letters_of_its_own_queue_are_kept_too() -> None:
    bench = Bench()
    await bench.world.bus.send("wecare-test-dlq-replay", "not json", {})
    await bench.world.settle()
    dead_letter = await bench.only()
    assert (dead_letter["queue"], dead_letter["service"], dead_letter["cause"]) == (
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
