"""The same on DynamoDB's own terms, and what it costs there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from libs.common.aws.clients import Aws
from libs.common.bus.encoding import pack
from libs.common.declare.event import Envelope
from libs.common.handle.receive import receive
from libs.common.handle.runtime import Runtime
from libs.common.settings import Settings
from libs.common.store.dynamodb import DynamoStore
from libs.common.testing.world import World
from services.insights import counts
from services.insights.service import service
from tests.kit.tables import create
from tests.services.insights.kit import Insights, crowd, expected, of_job, shuffled, way


@pytest.fixture
async def insights(emulator: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Insights]:
    monkeypatch.setattr(counts, "JOB_LINGER_SECONDS", 0.02)
    settings = Settings(stage=f"t{uuid4().hex[:8]}", send_mode="LIVE")
    async with Aws(environment=emulator) as aws, World([service], aws=aws, settings=settings) as world:
        tables = {spec.name: spec.table for spec in world.topology.tables}
        await create(aws, tables)
        world.runtime.store = DynamoStore(aws, tables)
        yield Insights(world)


def calls(world: World) -> int:
    """To DynamoDB, so far."""
    return sum(n for (of, _), n in world.aws.calls.items() if of == "dynamodb")


async def test_two_workers_on_the_same_packs_at_once_come_to_a_count_by_hand(insights: Insights) -> None:
    world = insights.world
    tables = {spec.name: spec.table for spec in world.topology.tables}
    workers = [
        Runtime(world.settings, DynamoStore(world.aws, tables), world.bus, world.clock, world.aws) for _ in range(2)
    ]
    reported = [*crowd(8, 60), *(event for events in of_job(60, chunk=20) for event in events)]
    await world.bus.publish([insights.envelope(event) for event in shuffled(reported, 8)])
    while records := await world.bus.receive(f"{world.settings.prefix}-insights-counts", 10, 0):
        await asyncio.gather(*(receive(worker, service, each) for each in records for worker in workers))
    await world.advance(3600)
    assert not world.letters()
    assert await insights.figures() == expected(reported)
    assert await insights.figures("day") == expected(reported, "day")


async def arrives(insights: Insights, envelopes: list[Envelope]) -> int:
    """All packs of it at once, as a worker takes them; returns the calls to DynamoDB that it took."""
    world = insights.world
    before = calls(world)
    await world.bus.publish(envelopes)
    while records := await world.bus.receive(f"{world.settings.prefix}-insights-counts", 10, 0):
        await asyncio.gather(*(receive(world.runtime, service, each) for each in records))
    return calls(world) - before


async def test_a_recipient_of_a_job_costs_less_than_a_twentieth_of_a_call(insights: Insights) -> None:
    sent, delivered = ([insights.envelope(event) for event in events] for events in of_job(500))
    assert len(pack(sent)[0]) == 5
    first = await arrives(insights, sent)
    then = await arrives(insights, shuffled_envelopes(delivered))
    again = await arrives(insights, sent)
    assert (first + then) / 500 <= 0.05
    assert again == 0


def shuffled_envelopes(envelopes: list[Envelope]) -> list[Envelope]:
    """Receipts come in any order: each pack has some of every chunk."""
    return [envelopes[n * 7 % len(envelopes)] for n in range(len(envelopes))]


async def test_messages_that_come_alone_share_calls_too(insights: Insights) -> None:
    steps = [(0, "queued", "request"), (1, "sent", "sender"), (3, "delivered", "provider")]
    reported = [event for n in range(200) for event in way(f"m{n}", steps)]
    cost = await arrives(insights, [insights.envelope(event) for event in reported])
    assert cost / len(reported) <= 0.05
    assert await insights.figures() == expected(reported)


async def test_packs_that_come_one_by_one_are_cheap_as_well(insights: Insights) -> None:
    cost = 0
    for events in of_job(300):
        for n in range(0, 300, 100):
            cost += await arrives(insights, [insights.envelope(event) for event in events[n : n + 100]])
    assert cost / 300 <= 0.05
