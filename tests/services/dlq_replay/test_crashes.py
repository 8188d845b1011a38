"""Kill whoever keeps or replays dead letters at every await, and let others go on: nothing is lost, nothing takes effect twice."""

from __future__ import annotations

import asyncio
import contextlib

from libs.common.errors import Poison
from libs.common.handle.delivery import run_tick
from libs.common.handle.receive import receive
from libs.common.handle.runtime import Runtime
from libs.common.testing.crash_points import CrashingAdapter, Points, SimulatedCrash, crash_at_every_point
from libs.messaging.events.dlq import LetterDecided, LetterKept
from tests.kit.toy import Greeted
from tests.services.dlq_replay.kit import DLQ, QUEUE, Bench, workbench

NAMES = ("ann", "bob", "cid")


def dying(bench: Bench, points: Points) -> Runtime:
    """A process of its own on the same AWS, which dies at a point."""
    world = bench.world
    store, bus = CrashingAdapter(world.store, points, "store"), CrashingAdapter(world.bus, points, "bus")
    return Runtime(world.settings, store, bus, world.clock, world.aws)  # type: ignore[arg-type]


async def test_a_replayer_killed_at_any_await_loses_no_letter_and_none_takes_effect_twice() -> None:
    async def story(points: Points) -> None:
        bench = Bench()
        bench.world.times = 1
        await bench.dies(*NAMES)
        job = await bench.ask(filter={}, rate=100)
        with contextlib.suppress(SimulatedCrash):
            await run_tick(dying(bench, points), workbench, workbench.every[0])
        bench.world.clock.advance(11)
        await bench.work()
        bench.world.clock.advance(60)
        await bench.world.tick("dlq-replay")
        reported = await bench.get(f"/api/dlq/jobs/{job['jobId']}")
        assert (reported["state"], reported["sent"], reported["skipped"]) == ("done", 3, 0)
        assert dict(bench.shop.applied) == dict.fromkeys(NAMES, 1)
        dead_letters = await bench.letters(state="replayed")
        assert [(each["replays"], each["jobId"]) for each in dead_letters] == [(1, job["jobId"])] * 3
        said = [each for each in bench.world.said(LetterDecided) if each.decision == "replayed"]
        assert len(said) == 3

    coverage = await crash_at_every_point(story)
    print(coverage)
    assert coverage.covered == coverage.points > 30


async def test_a_keeper_killed_at_any_await_loses_no_letter() -> None:
    async def story(points: Points) -> None:
        bench = Bench()
        world = bench.world
        await world.publish(Greeted(name="ann"))
        bench.shop.broken = Poison("closed")
        (record,) = await world.bus.receive(QUEUE, 1, 0)
        await receive(world.runtime, bench.shop.service, record)
        (dead,) = await world.bus.receive(DLQ, 1, 0)
        with contextlib.suppress(SimulatedCrash):
            await receive(dying(bench, points), workbench, dead)
        await world.advance(600)
        dead_letter = await bench.only()
        assert (dead_letter["deaths"], dead_letter["state"]) == (1, "waiting")
        assert len(world.said(LetterKept)) == 1
        assert world.bus.peek(DLQ) == []

    coverage = await crash_at_every_point(story)
    print(coverage)
    assert coverage.covered == coverage.points >= 8


async def test_what_a_replayer_does_that_wakes_up_after_its_lease_takes_no_effect_twice() -> None:
    """A zombie: stopped before each of its awaits in turn, while another replayer does the whole job; then it goes on."""

    async def story(hold: int | None) -> int:
        bench = Bench()
        bench.world.times = 1
        await bench.dies(*NAMES)
        await bench.ask(filter={}, rate=100)
        points = Points(hold=hold)
        zombie = asyncio.create_task(run_tick(dying(bench, points), workbench, workbench.every[0]))
        if hold is not None:
            await points.held.wait()
            bench.world.clock.advance(11)
            await bench.work()
            points.release()
        await zombie
        await bench.work()
        assert dict(bench.shop.applied) == dict.fromkeys(NAMES, 1)
        dead_letters = await bench.letters(state="replayed")
        assert [each["replays"] for each in dead_letters] == [1, 1, 1]
        (job,) = (await bench.get("/api/dlq/jobs"))["items"]
        assert (job["state"], job["sent"]) == ("done", 3)
        return len(points.seen)

    for hold in range(await story(None)):
        await story(hold)


async def test_a_pause_that_is_asked_for_at_any_await_leaves_counts_and_letters_that_agree() -> None:
    async def story(hold: int | None) -> int:
        bench = Bench()
        bench.world.times = 1
        await bench.dies(*NAMES)
        path = f"/api/dlq/jobs/{(await bench.ask(filter={}, rate=1))['jobId']}"
        points = Points(hold=hold)
        replayer = asyncio.create_task(run_tick(dying(bench, points), workbench, workbench.every[0]))
        if hold is not None:
            await points.held.wait()
            asked = await bench.operator.post(f"{path}/pause", json={})
            points.release()
            await replayer
            await bench.work()
            reported = await bench.get(path)
            assert reported["state"] in (("paused", "done") if asked.status_code == 202 else ("done",))
            assert len(await bench.letters(state="replayed")) == reported["sent"]
            assert await bench.letters(state="replaying") == []
            assert len(bench.world.said(LetterDecided)) == reported["sent"]
            await bench.operator.post(f"{path}/resume", json={})
        await replayer
        await bench.work()
        assert (await bench.get(path))["sent"] == 3
        assert dict(bench.shop.applied) == dict.fromkeys(NAMES, 1)
        return len(points.seen)

    for hold in range(await story(None)):
        await story(hold)
