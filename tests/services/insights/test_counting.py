"""The figures are those of a count by hand, whatever the order and number of deliveries and whoever counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from libs.common.bus.encoding import pack
from libs.common.handle.receive import receive
from libs.common.handle.runtime import Runtime
from libs.common.store.memory import MemoryStore
from libs.common.store.ops import Op, TransactionConflict
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.events.messages import MessageChanged
from services.insights import counts
from services.insights.service import service
from tests.services.insights.kit import NOON, Insights, changed, crowd, expected, of_job, shuffled, way


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_crowd_in_any_order_and_everything_twice_comes_to_what_it_is(insights: Insights, seed: int) -> None:
    reported = crowd(seed)
    await insights.hears(*shuffled(reported, seed))
    assert await insights.figures() == expected(reported)
    # Packed otherwise, as after a crash.
    await insights.hears(*shuffled(reported, seed + 10))
    assert await insights.figures() == expected(reported)
    assert await insights.figures("day") == expected(reported, "day")


async def test_it_is_right_at_every_moment_and_not_only_in_the_end(insights: Insights) -> None:
    reported = shuffled(crowd(4, 30), 4)
    for n in range(0, len(reported), 7):
        await insights.hears(*reported[n : n + 7])
        assert await insights.figures() == expected(reported[: n + 7])


async def test_a_status_that_was_skipped_counts_when_a_later_one_is_told_and_moves_when_it_is_told_itself(
    insights: Insights,
) -> None:
    await insights.hears(changed("m1", "read", NOON + timedelta(hours=2), source="provider"))
    figures = await insights.figures()
    assert {name: n for name, n in figures.items() if "T14" in name} == figures
    assert figures["2026-01-15T14 sms transactional sent"] == figures["2026-01-15T14 sms transactional delivered"] == 1
    await insights.hears(changed("m1", "sent", NOON))
    figures = await insights.figures()
    assert figures["2026-01-15T12 sms transactional sent"] == figures["2026-01-15T14 sms transactional read"] == 1
    assert figures["2026-01-15T14 sms transactional sent"] == 0


async def test_an_uncertain_send_is_open_until_anything_definite_is_known(insights: Insights) -> None:
    await insights.hears(changed("m1", "uncertain"), changed("m2", "uncertain"))
    assert (await insights.overview())["uncertain"] == 2
    await insights.hears(changed("m1", "delivered", source="provider"))
    assert (await insights.overview())["uncertain"] == 1
    await insights.hears(changed("m2", "unknown", source="auditor"))
    assert (await insights.overview())["uncertain"] == 0
    assert (await insights.figures())["2026-01-15T12 sms transactional uncertain"] == 2


async def test_a_proof_of_delivery_takes_a_failure_back(insights: Insights) -> None:
    await insights.hears(changed("m1", "failed", source="provider"))
    assert (await insights.overview())["today"]["failed"] == 1
    await insights.hears(changed("m1", "delivered", source="provider"))
    reported = await insights.overview()
    assert (reported["today"]["failed"], reported["today"]["delivered"], reported["errors"]) == (0, 1, [])


async def test_an_event_too_old_to_know_whether_it_was_counted_is_not(insights: Insights) -> None:
    await insights.hears(
        changed("m1", "sent", NOON - timedelta(days=41)), changed("m2", "sent", NOON + timedelta(days=2))
    )
    assert not await insights.figures(since="2025-12-01T00:00:00Z", until="2025-12-31T00:00:00Z")
    assert not await insights.figures(since="2026-01-17T00:00:00Z", until="2026-01-18T00:00:00Z")


async def test_an_event_that_comes_again_after_a_month_finds_that_it_was_counted(insights: Insights) -> None:
    reported = [*way("m1", [(0, "queued", "request"), (1, "sent", "sender")]), *of_job(3)[0]]
    await insights.hears(*reported)
    before = await insights.figures()
    await insights.world.advance(39 * 86400, step=86400)
    await insights.hears(*reported)
    assert await insights.figures() == before == expected(reported)


class Slow(MemoryStore):
    """Shares the rows of another; lets others in between a read and a transaction, and loses every third answer."""

    def __init__(self, other: MemoryStore) -> None:
        self.__dict__.update(other.__dict__)
        self.transactions = 0
        self.refused = 0

    async def transact(self, ops: Sequence[Op], token: str) -> None:
        await asyncio.sleep(0)
        self.transactions += 1
        try:
            await super().transact(ops, token)
        except TransactionConflict:
            self.refused += 1
            raise
        if self.transactions % 3 == 0:
            raise ConnectionError("the answer was lost")


async def test_two_workers_at_once_and_lost_answers_count_nothing_twice(
    insights: Insights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MAX_ROWS", 12)
    world: World = insights.world
    stores = [Slow(world.store) for _ in range(2)]
    workers = [Runtime(world.settings, store, world.bus, world.clock, world.aws) for store in stores]
    reported: list[MessageChanged] = [*crowd(5, 60), *of_job(40)[0], *of_job(40)[1]]

    for seed in range(3):
        await world.bus.publish([insights.envelope(event) for event in shuffled(reported, seed)])
        while records := await world.bus.receive("wecare-test-insights-counts", 10, 0):
            # Both are given all of it: one of them is too late to be told so.
            await asyncio.gather(*(receive(worker, service, each) for each in records for worker in workers))
    world.clock.advance(3600)
    await world.settle()
    assert not world.letters()
    assert await insights.figures() == expected(reported)
    assert all(store.transactions > 3 for store in stores)
    assert any(store.refused for store in stores)


async def test_a_pack_of_a_job_is_one_transaction(insights: Insights) -> None:
    world = insights.world
    counting = Slow(world.store)
    counting.transactions = -10_000
    worker = Runtime(world.settings, counting, world.bus, world.clock, world.aws)
    for events in of_job(100):
        packs, _ = pack([insights.envelope(event) for event in events])
        assert len(packs) == 1
        await world.bus.publish([insights.envelope(event) for event in events])
        for record in await world.bus.receive("wecare-test-insights-counts", 10, 0):
            for _ in range(3):
                await receive(worker, service, record)
    assert counting.transactions == -10_000 + 2
    assert (await insights.figures("day"))[f"2026-01-15 {Channel.SMS} bulk delivered"] == 100
