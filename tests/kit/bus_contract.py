"""The contract tests of a bus, for every implementation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic

import pytest

from libs.common.bus.base import Bus, DeadLetter, Record
from libs.common.bus.encoding import Unpublishable
from libs.common.declare.event import Envelope, following, root_cause
from libs.common.declare.topology import Topology, topology
from tests.kit import toy
from tests.kit.toy import Counted, Greeted

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
#: Long enough for anything that should arrive; a receive returns as soon as it does.
SOON = 5.0


def small_topology(prefix: str) -> Topology:
    """The toy's, with times that a test can wait for."""
    whole = topology([toy.service], prefix)
    return replace(whole, queues=tuple(replace(spec, visibility=1, max_receives=3) for spec in whole.queues))


def greetings(*names: str, channel: str = "whatsapp") -> list[Envelope]:
    facts = [Greeted(name=name, channel=channel) for name in names]
    return following(root_cause(*names), facts, source="test", now=NOW)


@dataclass
class Sitting:
    """``publish_raw`` plays a provider; ``left`` counts what is on a queue, invisible or not."""

    bus: Bus
    topology: Topology
    publish_raw: Callable[[str, str], Awaitable[object]]
    left: Callable[[str], Awaitable[int]]

    @property
    def queue(self) -> str:
        return f"{self.topology.prefix}-toy"

    async def one(self, wait: float = SOON) -> Record:
        records = await self.bus.receive(self.queue, 10, wait)
        assert len(records) == 1
        return records[0]

    async def nothing(self) -> bool:
        return await self.bus.receive(self.queue, 10, 0) == []


def names_in(record: Record) -> list[str]:
    parsed = json.loads(record.body)
    return [wire["data"]["name"] for wire in (parsed if isinstance(parsed, list) else [parsed])]


class BusExam:
    async def test_a_lone_event_arrives_as_one_cloud_event_with_its_attributes(self, sitting: Sitting) -> None:
        (said,) = greetings("ann")
        await sitting.bus.publish([said])
        record = await sitting.one()
        assert Envelope.from_wire(json.loads(record.body)) == said
        assert record.attributes == {"type": "toy.greeted.v1", "channel": "whatsapp"}
        assert (record.queue, record.receive_count) == (sitting.queue, 1)
        assert record.sent_at is not None
        assert record.first_received_at is not None

    async def test_a_subscription_lets_through_only_what_its_filter_names(self, sitting: Sitting) -> None:
        counted = following(root_cause("x"), [Counted(name="ann", count=1)], source="test", now=NOW)
        await sitting.bus.publish([*counted, *greetings("bob", channel="sms"), *greetings("cy")])
        assert names_in(await sitting.one()) == ["cy"]
        assert await sitting.nothing()

    async def test_events_of_one_type_share_messages_and_keep_their_order(self, sitting: Sitting) -> None:
        names = [f"n{i}" for i in range(250)]
        await sitting.bus.publish(greetings(*names))
        found: list[Record] = []
        while len(found) < 3:
            found += await sitting.bus.receive(sitting.queue, 10, SOON)
        assert sorted(len(names_in(record)) for record in found) == [50, 100, 100]
        assert sorted(name for record in found for name in names_in(record)) == sorted(names)
        assert all(names_in(r) == sorted(names_in(r), key=lambda n: int(n[1:])) for r in found)

    async def test_of_twenty_callers_whose_events_travel_together_one_that_cannot_be_written_fails_alone(
        self, sitting: Sitting
    ) -> None:
        deep = greetings("deep")[0]
        nested: object = 1
        for _ in range(300):
            nested = [nested]
        object.__setattr__(deep.data, "name", nested)
        good = greetings(*(f"n{n}" for n in range(18)))
        said = [*good[:9], greetings("half a pair \ud83d")[0], deep, *good[9:]]
        results = await asyncio.gather(*(sitting.bus.publish([each]) for each in said), return_exceptions=True)
        assert [type(each) for each in results if each is not None] == [Unpublishable, Unpublishable]
        assert results[9] is not None
        assert results[10] is not None
        found: list[str] = []
        async with asyncio.timeout(SOON):
            while len(found) < len(good):
                found += [name for r in await sitting.bus.receive(sitting.queue, 10, SOON) for name in names_in(r)]
        assert sorted(found) == sorted(f"n{n}" for n in range(18))

    async def test_publishing_nothing_is_fine(self, sitting: Sitting) -> None:
        await sitting.bus.publish([])
        assert await sitting.nothing()

    async def test_a_receive_waits_for_the_first_record(self, sitting: Sitting) -> None:
        waiting = asyncio.create_task(sitting.bus.receive(sitting.queue, 10, 20))
        await asyncio.sleep(0.05)
        await sitting.bus.publish(greetings("ann"))
        began = monotonic()
        assert len(await waiting) == 1
        assert monotonic() - began < 10

    async def test_what_is_not_acknowledged_comes_back_and_is_counted(self, sitting: Sitting) -> None:
        await sitting.bus.publish(greetings("ann"))
        first = await sitting.one()
        assert await sitting.nothing()
        again = await sitting.one()
        assert (again.id, again.receive_count) == (first.id, 2)
        assert again.first_received_at == first.first_received_at

    async def test_what_is_acknowledged_does_not_come_back_however_often_it_is_said(self, sitting: Sitting) -> None:
        await sitting.bus.publish(greetings("ann"))
        record = await sitting.one()
        await asyncio.gather(sitting.bus.ack(record), sitting.bus.ack(record))
        await sitting.bus.ack(record)
        await sitting.bus.change_visibility(record, 0)
        assert await sitting.left(sitting.queue) == 0

    async def test_an_acknowledgement_that_comes_too_late_does_no_harm(self, sitting: Sitting) -> None:
        await sitting.bus.publish(greetings("ann"))
        late = await sitting.one()
        current = await sitting.one()
        await sitting.bus.ack(late)
        await sitting.bus.ack(current)
        assert await sitting.left(sitting.queue) == 0

    async def test_the_depth_counts_what_waits_and_what_is_received_until_it_is_acknowledged(
        self, sitting: Sitting
    ) -> None:
        assert await sitting.bus.depth(sitting.queue) == 0
        await sitting.bus.publish(greetings("ann"))
        record = await sitting.one()
        assert await sitting.bus.depth(sitting.queue) == 1
        await sitting.bus.requeue(record, record.body, 900)
        assert await sitting.bus.depth(sitting.queue) == 1
        await sitting.bus.send(sitting.queue, record.body, record.attributes)
        assert await sitting.bus.depth(sitting.queue) == 2
        await sitting.bus.ack(await sitting.one())
        assert await sitting.bus.depth(sitting.queue) == 1

    async def test_what_is_shown_can_be_had_at_once(self, sitting: Sitting) -> None:
        await sitting.bus.publish(greetings("ann"))
        await sitting.bus.change_visibility(await sitting.one(), 0)
        assert (await sitting.one(wait=0.2)).receive_count == 2

    async def test_what_is_hidden_again_stays_hidden_longer(self, sitting: Sitting) -> None:
        await sitting.bus.publish(greetings("ann"))
        record = await sitting.one()
        await sitting.bus.change_visibility(record, 300)
        assert await sitting.bus.receive(sitting.queue, 10, 1.1) == []
        assert await sitting.left(sitting.queue) == 1

    async def test_what_is_renewed_starts_anew_after_its_delay(self, sitting: Sitting) -> None:
        await sitting.bus.publish(greetings("ann", "bob"))
        await sitting.bus.change_visibility(await sitting.one(), 0)
        record = await sitting.one()
        rest = json.dumps(json.loads(record.body)[1])
        await sitting.bus.requeue(record, rest, 1)
        assert await sitting.nothing()
        fresh = await sitting.one()
        assert (fresh.body, fresh.receive_count, fresh.attributes) == (rest, 1, record.attributes)
        await sitting.bus.ack(fresh)
        assert await sitting.left(sitting.queue) == 0

    async def test_a_buried_record_is_whole_and_still_has_to_be_acknowledged(self, sitting: Sitting) -> None:
        await sitting.bus.publish(greetings("ann"))
        record = await sitting.one()
        letter = DeadLetter(
            "rejected", "Poison", "never", record.queue, "toy", "count", "b1", record, "e1", died_at=NOW
        )
        await sitting.bus.dead_letter(record, letter)
        (dead,) = await sitting.bus.receive(f"{sitting.queue}-dlq", 10, SOON)
        reported = json.loads(dead.body)
        assert (reported["cause"], reported["eventId"], reported["diedAt"]) == (
            "rejected",
            "e1",
            "2026-01-15T12:00:00.000Z",
        )
        assert (reported["record"]["body"], reported["record"]["id"]) == (record.body, record.id)
        assert dead.attributes["type"] == "toy.greeted.v1"
        assert (await sitting.one()).receive_count == 2

    async def test_what_nobody_acknowledges_dies_at_last(self, sitting: Sitting) -> None:
        await sitting.bus.publish(greetings("ann"))
        for count in (1, 2, 3):
            record = await sitting.one()
            assert record.receive_count == count
            await sitting.bus.change_visibility(record, 0)
        assert await sitting.nothing()
        (dead,) = await sitting.bus.receive(f"{sitting.queue}-dlq", 10, SOON)
        assert dead.body == record.body

    async def test_characters_that_no_queue_takes_travel_as_escapes(self, sitting: Sitting) -> None:
        name = "\ufffe \uffff \x01"
        await sitting.bus.publish(greetings(name))
        record = await sitting.one()
        raw = json.dumps(json.loads(record.body), ensure_ascii=False)
        assert "\ufffe" in raw
        letter = DeadLetter(
            "rejected", "Poison", "never", record.queue, "toy", "count", "b1", replace(record, body=raw)
        )
        await sitting.bus.dead_letter(record, letter)
        await sitting.bus.requeue(record, raw, 0)
        await sitting.bus.send(sitting.queue, raw, {})
        (dead,) = await sitting.bus.receive(f"{sitting.queue}-dlq", 10, SOON)
        assert json.loads(json.loads(dead.body)["record"]["body"])["data"]["name"] == name
        found: list[Record] = []
        while len(found) < 2:
            found += await sitting.bus.receive(sitting.queue, 10, SOON)
        assert [names_in(each) for each in found] == [[name], [name]]

    async def test_a_feed_brings_what_the_provider_said_as_it_was_said(self, sitting: Sitting) -> None:
        await sitting.publish_raw(f"{sitting.topology.prefix}-feed-toy", "hi dan, é")
        (record,) = await sitting.bus.receive(f"{sitting.topology.prefix}-toy-feed-toy", 10, SOON)
        assert (record.body, record.attributes) == ("hi dan, é", {})

    async def test_an_unknown_topic_or_queue_is_an_error(self, sitting: Sitting) -> None:
        with pytest.raises(Exception, match=r"nowhere|does not exist"):
            await sitting.bus.receive("nowhere", 1, 0)
