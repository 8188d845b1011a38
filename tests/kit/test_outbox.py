"""Accepted events are published eventually, whatever else is in the outbox; events that cannot be published are refused."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Sequence

import pytest

from libs.common.bus.batch_calls import EntryFailed
from libs.common.bus.encoding import MAX_EVENT_BYTES, Unpublishable, encode, pack
from libs.common.declare.discover import discover
from libs.common.declare.event import Envelope, Event
from libs.common.declare.ledger import MAX_RETRY_SECONDS, OUTBOX_SECONDS, LedgerEntry
from libs.common.declare.names import Names
from libs.common.declare.service import Every, Service, TickAction, on
from libs.common.declare.topology import schedules_of
from libs.common.handle.context import Context
from libs.common.hosts.http.routes import Api
from libs.common.hosts.lambda_ import LambdaHost
from libs.common.hosts.shutdown import ShutdownSignal
from libs.common.hosts.ticks import ticks
from libs.common.testing.world import World
from services.dlq_replay.service import service as workbench
from tests.kit import toy
from tests.kit.toy import Counted, Greeted, Greeting

SERVICES = [service for service in discover() if service.uses_ledger()]


async def stuck(world: World, count: int, name: str = "\x01" * 40_000, service: Service = toy.service) -> None:
    """Rows that an older build accepted: their event fits no message."""
    context = world.runtime.context(service)
    for n in range(count):
        wire = world.envelope(Counted(name=name, count=n)).to_wire()
        await context.write(
            context.insert(
                LedgerEntry(id=f"old-{n}", at=context.now, said=[wire], pending="0", expires_at=4_000_000_000)
            )
        )


async def test_rows_that_can_never_be_published_do_not_keep_the_others_from_being_published() -> None:
    async with World([toy.service]) as world:
        await stuck(world, 445)
        publish, world.bus.publish = world.bus.publish, _down  # type: ignore[method-assign]
        for n in range(8):
            assert (await world.http().post("/api/toys", json={"name": f"jo{n}"})).status_code == 201
        world.bus.publish = publish  # type: ignore[method-assign]
        world.clock.advance(60)
        await world.tick("toy", "none")
        assert {said.name for said in world.said(Counted)} == {f"jo{n}" for n in range(8)}


async def _down(_: object) -> None:
    raise ConnectionError("down")


async def test_a_row_that_is_refused_for_good_becomes_a_dead_letter_once_and_leaves_the_outbox() -> None:
    async with World([toy.service]) as world:
        await stuck(world, 1)
        world.clock.advance(60)
        await world.tick("toy", "none")
        await world.tick("toy", "none")
        (letter,) = world.letters()
        assert (letter["cause"], letter["eventType"]) == ("unpublishable", Counted.TYPE)
        entry = await world.row("toy", LedgerEntry, "old-0")
        assert entry is not None
        assert entry.pending is None


async def test_a_row_stays_in_the_outbox_while_the_bus_is_down() -> None:
    async with World([toy.service]) as world:
        publish, world.bus.publish = world.bus.publish, _down  # type: ignore[method-assign]
        await world.http().post("/api/toys", json={"name": "jo"})
        world.clock.advance(60)
        await world.tick("toy", "none")
        assert world.letters() == []
        world.bus.publish = publish  # type: ignore[method-assign]
        world.clock.advance(60)
        await world.tick("toy", "none")
        assert [said.name for said in world.said(Counted)] == ["jo"]


@pytest.mark.parametrize("code", ["AuthorizationError", "KMSAccessDenied", "NotFound", "InternalError"])
async def test_a_refusal_that_is_not_the_events_own_fault_sets_nothing_aside(code: str) -> None:
    async with World([toy.service]) as world:

        async def closed(_: object) -> None:
            raise EntryFailed(code, "injected")

        publish, world.bus.publish = world.bus.publish, closed  # type: ignore[method-assign]
        await world.http().post("/api/toys", json={"name": "jo"})
        await until_swept(world, 600)
        assert world.letters() == []
        world.bus.publish = publish  # type: ignore[method-assign]
        await until_swept(world, MAX_RETRY_SECONDS + OUTBOX_SECONDS)
        assert [said.name for said in world.said(Counted)] == ["jo"]


async def until_swept(world: World, seconds: int) -> None:
    """Sweep as often as a worker does."""
    for _ in range(0, seconds, OUTBOX_SECONDS):
        world.clock.advance(OUTBOX_SECONDS)
        await world.tick("toy", "none")


async def test_a_row_that_fails_again_and_again_is_tried_less_and_less_often() -> None:
    async with World([toy.service], times=1) as world:
        tried: list[float] = []

        async def down(_: object) -> None:
            tried.append((world.clock.now() - begun).total_seconds())
            raise ConnectionError("down")

        begun = world.clock.now()
        world.bus.publish = down  # type: ignore[method-assign]
        await stuck(world, 1, "jo")
        await until_swept(world, 3600)
        gaps = [after - before for before, after in itertools.pairwise(tried)]
        assert gaps == sorted(gaps)
        assert (gaps[0], gaps[-1]) == (OUTBOX_SECONDS, MAX_RETRY_SECONDS)
        assert len(tried) < 20


async def test_a_row_that_this_build_cannot_read_waits_for_another_one_and_holds_up_nobody() -> None:
    async with World([toy.service]) as world:
        await stuck(world, 1, "jo")
        context = world.runtime.context(toy.service)
        entry = await world.row("toy", LedgerEntry, "old-0")
        assert entry is not None
        wire = {**entry.said[0], "type": "toy.counted.v2"}
        await context.write(context.insert(entry.model_copy(update={"id": "a-newer-build", "said": [wire]})))
        await until_swept(world, 60)
        assert [said.name for said in world.said(Counted)] == ["jo"]
        newer = await world.row("toy", LedgerEntry, "a-newer-build")
        assert newer is not None
        assert newer.pending == "0"
        assert world.letters() == []


async def test_an_event_that_is_refused_for_good_is_on_the_workbench_even_of_a_service_that_hears_nothing() -> None:
    teller = Service("teller", says=[Counted], serves=Api())
    async with World([teller, workbench]) as world:
        await stuck(world, 1, service=teller)
        world.clock.advance(60)
        await world.tick("teller")
        answer = await world.http("VIEWER").get("/api/dlq", params={"cause": "unpublishable"})
        (letter,) = answer.json()["items"]
        assert (letter["service"], letter["eventType"]) == ("teller", Counted.TYPE)
        assert len((await world.http("VIEWER").get(f"/api/dlq/{letter['dlqMessageId']}")).text) < MAX_EVENT_BYTES


async def test_an_event_of_the_outbox_that_is_replayed_reaches_its_topic() -> None:
    async with World([toy.service, workbench]) as world:
        publish = world.bus.publish

        async def refused(envelopes: Sequence[Envelope]) -> None:
            if isinstance(envelopes[0].data, Counted):
                raise EntryFailed("InvalidParameter", "an older limit")
            await publish(envelopes)

        world.bus.publish = refused  # type: ignore[method-assign]
        await stuck(world, 1, "jo")
        world.clock.advance(60)
        await world.tick("toy", "none")
        world.bus.publish = publish  # type: ignore[method-assign]
        assert world.said(Counted) == []
        (letter,) = (await world.http("VIEWER").get("/api/dlq")).json()["items"]
        asked = await world.http("OPERATOR").post("/api/dlq/replay", json={"ids": [letter["dlqMessageId"]]})
        assert asked.status_code == 202
        await world.tick("dlq-replay")
        assert [said.name for said in world.said(Counted)] == ["jo"]
        assert world.letters() == []


async def test_a_step_that_no_table_takes_is_left_out_and_the_next_one_is_done() -> None:
    async def steps(ctx: Context) -> AsyncIterator[TickAction]:
        for name, mood in (("ann", "x" * 450_000), ("bob", "happy")):
            yield TickAction(name, (ctx.insert(Greeting(name=name, mood=mood)),), (Counted(name=name, count=1),))

    service = Service("toy", owns=[Greeting], says=[Counted], every=[Every(60, steps)])
    async with World([service]) as world:
        assert await world.tick("toy") == 1
        assert [said.name for said in world.said(Counted)] == ["bob"]


async def test_a_handler_whose_row_no_table_takes_ends_as_a_dead_letter_at_once() -> None:
    async def grow(event: Greeted, ctx: Context) -> list[Event]:
        ctx.stage(ctx.insert(Greeting(name=event.name, mood="x" * 450_000)))
        return [Counted(name=event.name, count=1)]

    service = Service("toy", owns=[Greeting], says=[Counted, Greeted], hears=[on(Greeted, grow, ledger=True)])
    async with World([service]) as world:
        await world.hear(Greeted(name="ann"))
        # Once, however often it is delivered: the world delivers twice.
        assert {(letter["cause"], letter["eventType"]) for letter in world.letters()} == {("rejected", Greeted.TYPE)}
        assert world.said(Counted) == []


async def test_what_a_record_holds_is_renewed_and_buried_whatever_its_characters() -> None:
    async with World([toy.service]) as world:
        awkward = "\ufffe \uffff"
        later = [Greeted(name=f"{awkward} {n}", trouble="later") for n in range(2)]
        await world.hear(*later, Greeted(name=awkward, trouble="poison"), Greeted(name="bob"))
        assert [said.name for said in world.said(Counted)] == ["bob"]
        assert {json.loads(each["record"]["body"])["data"]["name"] for each in world.letters()} == {awkward}
        (waiting,) = world.bus.peek("wecare-test-toy")
        assert [wire["data"]["name"] for wire in json.loads(waiting.body)] == [each.name for each in later]


@pytest.mark.parametrize("name", ["x" * (MAX_EVENT_BYTES + 1), "\x01" * 40_000, "\ufffe" * 40_000, "\ud800"])
async def test_one_event_that_no_topic_takes_fails_alone(name: str) -> None:
    async with World([toy.service]) as world:
        good = [world.envelope(Greeted(name=f"n{n}")) for n in range(19)]
        bad = world.envelope(Greeted.model_construct(name=name))
        packed, refused = pack([*good[:9], bad, *good[9:]])
        assert [envelope for message in packed for envelope in message.events] == good
        assert [envelope for envelope, _ in refused] == [bad]
        with pytest.raises(Unpublishable):
            encode(bad)


async def test_characters_that_sqs_refuses_arrive_as_they_were_sent() -> None:
    async with World([toy.service]) as world:
        await world.publish(Greeted(name="\ufffe a \uffff b \x00"))
        (record,) = await world.bus.receive("wecare-test-toy", 10, 0)
        assert "\ufffe" not in record.body
        await world.settle()
        with pytest.raises(EntryFailed):
            await world.bus.publish_raw("wecare-test-feed-toy", "hi \uffff")


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_every_service_that_keeps_a_ledger_has_its_outbox_swept_on_every_host(service) -> None:  # type: ignore[no-untyped-def]
    async with World(discover()) as world:
        worker = list(ticks(world.runtime, service, ShutdownSignal()))
        for each in worker:
            each.close()
        assert len(worker) == len(service.every) + 1
        host = LambdaHost(world.runtime, [service])
        schedules = list(schedules_of(Names(world.settings.prefix), service))
        assert schedules
        for schedule in schedules:
            assert "swept" in await host.tick(schedule.name)
