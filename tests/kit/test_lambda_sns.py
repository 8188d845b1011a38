"""The Lambda host subscribed to SNS directly: there are no partial batch responses, so all records are redelivered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libs.common.declare.names import Names
from libs.common.declare.service import Service, on
from libs.common.handle.context import Context
from libs.common.hosts.lambda_ import LambdaHost
from libs.common.testing.world import World
from tests.kit import toy
from tests.kit.toy import Counted, Greeted, Greeting


def reported(world: World, topic: str, *facts: Greeted, **attributes: str) -> dict[str, Any]:
    """As SNS invokes a function; one record an event."""
    records = []
    for n, fact in enumerate(facts):
        envelope = world.envelope(fact, key=f"k{n}")
        typed = {
            name: {"Type": "String", "Value": value} for name, value in (envelope.attributes() | attributes).items()
        }
        records.append(
            {
                "EventVersion": "1.0",
                "EventSource": "aws:sns",
                "EventSubscriptionArn": f"arn:aws:sns:us-east-1:000000000000:{topic}:1",
                "Sns": {
                    "Type": "Notification",
                    "MessageId": f"m{n}",
                    "TopicArn": f"arn:aws:sns:us-east-1:000000000000:{topic}",
                    "Timestamp": "2026-09-01T12:00:00.978Z",
                    "Message": json.dumps(envelope.to_wire()),
                    "MessageAttributes": typed,
                },
            }
        )
    return {"Records": records}


async def test_an_event_of_a_topic_is_handled_once_however_often_it_comes() -> None:
    async with World([toy.service]) as world:
        host = LambdaHost(world.runtime, [toy.service])
        for _ in range(3):
            assert (
                await host.answer(reported(world, Names(world.settings.prefix).topic("toy"), Greeted(name="ann"))) == {}
            )
        assert [said.count for said in world.said(Counted)] == [1]
        row = await world.row("toy", Greeting, "ann")
        assert row is not None
        assert row.count == 1


async def test_what_failed_raises_and_its_neighbour_is_not_done_twice_when_all_comes_again() -> None:
    mended = False

    async def work(event: Greeted, ctx: Context) -> list[Counted]:
        if event.name == "bob" and not mended:
            raise RuntimeError("call +12025550123")
        return await toy.count(event, ctx)  # type: ignore[return-value]

    service = Service("toy", owns=[Greeting], hears=[on(Greeted, work, ledger=True)], says=[Greeted, Counted])
    async with World([service]) as world:
        host = LambdaHost(world.runtime, [service])
        event = reported(world, Names(world.settings.prefix).topic("toy"), Greeted(name="ann"), Greeted(name="bob"))
        with pytest.raises(RuntimeError, match="to come again: m1"):
            await host.answer(event)
        mended = True
        for _ in range(2):
            assert await host.answer(event) == {}
        assert sorted((said.name, said.count) for said in world.said(Counted)) == [("ann", 1), ("bob", 1)]
        assert world.letters() == []


async def test_poison_is_buried_and_does_not_come_again() -> None:
    async with World([toy.service]) as world:
        host = LambdaHost(world.runtime, [toy.service])
        assert await host.answer(reported(world, "wecare-test-toy", Greeted(name="ann", trouble="poison"))) == {}
        assert [letter["cause"] for letter in world.letters()] == ["rejected"]


async def test_what_nobody_here_wants_is_left_alone() -> None:
    async with World([toy.service]) as world:
        host = LambdaHost(world.runtime, [toy.service])
        assert await host.answer(reported(world, "wecare-test-toy", Greeted(name="ann", channel="voice"))) == {}
        assert world.said(Counted) == []
