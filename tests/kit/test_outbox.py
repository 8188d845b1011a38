"""What was accepted is published in the end, whatever else the outbox holds; what could never be published is not accepted."""

from __future__ import annotations

import pytest

from libs.common.bus.batches import EntryFailed
from libs.common.discover import discover
from libs.common.hosts.lambda_ import LambdaHost
from libs.common.ledger import LedgerEntry
from libs.common.names import Names
from libs.common.packing import MAX_EVENT_BYTES, Unpublishable, encode, pack
from libs.common.stop import Stop
from libs.common.testing.world import World
from libs.common.ticks import ticks
from libs.common.topology import schedules_of
from tests.kit import toy
from tests.kit.toy import Counted, Greeted

SERVICES = [service for service in discover() if service.uses_ledger()]


async def stuck(world: World, count: int, name: str = "x" * 300_000) -> None:
    """Rows that an older build accepted: their event fits no message."""
    context = world.runtime.context(toy.service)
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
        await world.tick("toy", "none")
        assert [said.name for said in world.said(Counted)] == ["jo"]


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
        worker = list(ticks(world.runtime, service, Stop()))
        for each in worker:
            each.close()
        assert len(worker) == len(service.every) + 1
        host = LambdaHost(world.runtime, [service])
        schedules = list(schedules_of(Names(world.settings.prefix), service))
        assert schedules
        for schedule in schedules:
            assert "swept" in await host.tick(schedule.name)
