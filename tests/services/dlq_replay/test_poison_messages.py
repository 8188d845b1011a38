"""Poison in batches, and workers that are older than the events they get: R10 and R31 of the battery."""

from __future__ import annotations

import json

from libs.common.declare import event as events
from tests.services.dlq_replay.kit import QUEUE, Bench, Greeted, ids


async def test_poison_in_batches_is_parked_with_its_cause_and_its_neighbours_go_through() -> None:
    """R10: of three hundred events in three messages, three are malformed, three of an unknown version, three always raise."""
    bench = Bench()
    wires = []
    for n in range(300):
        wire = bench.world.envelope(Greeted(name=f"n{n}", trouble="poison" if n % 100 == 3 else "")).to_wire()
        if n % 100 == 1:
            wire["data"] = {"nobody": "knows"}
        if n % 100 == 2:
            wire["type"] = "toy.greeted.v7"
        wires.append(wire)
    for start in range(0, 300, 100):
        body = json.dumps(wires[start : start + 100])
        await bench.world.bus.send(QUEUE, body, {"type": "toy.greeted.v1", "channel": "whatsapp"})
    await bench.world.settle()
    reported = await bench.get("/api/dlq/groups")
    assert {group["cause"]: group["count"] for group in reported["groups"]} == {
        "malformed": 3,
        "version": 3,
        "rejected": 3,
    }
    good = {f"n{n}" for n in range(300) if n % 100 not in (1, 2, 3)}
    assert dict(bench.shop.applied) == dict.fromkeys(good, 1)
    for dead_letter in await bench.letters(limit=100):
        shown = await bench.show(dead_letter)
        assert shown["event"] in wires, "each letter holds its own event alone"
        assert shown["text"]


async def test_an_event_that_the_old_build_does_not_know_is_parked_and_replayed_into_the_new_one() -> None:
    """R31: the sender was deployed before the worker."""
    bench = Bench()
    known = events._registry.pop(Greeted.TYPE)
    try:
        await bench.world.hear(Greeted(name="ann"))
        dead_letter = await bench.only()
        assert dead_letter["cause"] == "version"
        reported = await bench.viewer.post("/api/dlq/simulate", json={"ids": ids([dead_letter])})
        assert reported.json()["outcomes"] == {"schema_too_new": 1}
        assert "deploy a build that knows it" in reported.json()["items"][0]["detail"]
        await bench.replayed(ids=ids([dead_letter]))
        assert (await bench.only())["deaths"] == 4, "too early: it is back"
    finally:
        events._registry[Greeted.TYPE] = known
    await bench.replayed(ids=ids([dead_letter]))
    assert dict(bench.shop.applied) == {"ann": 1}


async def test_a_new_build_reads_old_events_and_an_old_one_overlooks_what_is_new() -> None:
    """R31, and back: what was added is optional, and what is not known is no fault."""
    bench = Bench()
    older = bench.world.envelope(Greeted(name="old")).to_wire()
    del older["data"]["trouble"]
    newer = bench.world.envelope(Greeted(name="new")).to_wire()
    newer["data"]["mood"] = "splendid"
    newer["dataschema"] = "of-tomorrow"
    for wire in (older, newer):
        await bench.world.bus.send(QUEUE, json.dumps(wire), {"type": "toy.greeted.v1", "channel": "whatsapp"})
    await bench.world.settle()
    assert dict(bench.shop.applied) == {"old": 1, "new": 1}
    assert await bench.letters() == []
