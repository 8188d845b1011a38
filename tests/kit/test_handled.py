"""Events about requests: one per accepted request; refusals by role at a limited rate; no content of the requests."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.declare.request_events import RequestHandled, RequestRefused, ids_in
from libs.common.hosts.http import role_refusals
from libs.common.testing.world import World
from tests.kit import toy
from tests.kit.toy import Counted


@pytest.fixture
async def world():
    async with World([toy.service]) as world:
        yield world


async def test_a_request_that_is_repeated_by_its_key_is_told_once(world: World) -> None:
    http = world.http()
    for _ in range(3):
        await http.post("/api/toys", json={"name": "gil"}, headers={"Idempotency-Key": "mine"})
    (reported,) = world.said(RequestHandled)
    assert (reported.action, reported.role, reported.method, reported.route) == (
        "toy.say_hello",
        "OPERATOR",
        "POST",
        "/api/toys",
    )
    assert [(fact.type, fact.subject) for fact in reported.facts] == [(Counted.TYPE, "gil")]
    assert reported.key_digest
    assert "mine" not in reported.model_dump_json()
    (envelope,) = {e.id: e for e in world.bus.heard if isinstance(e.data, RequestHandled)}.values()
    assert (envelope.actor, envelope.source) == ("user:test-operator", "toy")
    assert envelope.as_cause().of_a_request


async def test_requests_that_race_under_one_key_are_told_once(world: World) -> None:
    http = world.http()
    again = [http.post("/api/toys", json={"name": "ida"}, headers={"Idempotency-Key": "k"}) for _ in range(5)]
    assert {answer.status_code for answer in await asyncio.gather(*again)} == {201}
    assert len(world.said(RequestHandled)) == 1


async def test_what_was_accepted_is_told_by_the_sweep_when_the_bus_was_down(world: World) -> None:
    publish = world.bus.publish

    async def down(_: object) -> None:
        raise ConnectionError("down")

    world.bus.publish = down  # type: ignore[method-assign]
    assert (await world.http().post("/api/toys", json={"name": "jo"})).status_code == 201
    world.bus.publish = publish  # type: ignore[method-assign]
    assert world.said(RequestHandled) == []
    await world.advance(60)
    await world.tick("toy")
    assert len(world.said(RequestHandled)) == 1


@pytest.mark.parametrize(("body", "status"), [({"name": ""}, 422), ({"name": "nobody"}, 422), ({}, 422)])
async def test_what_is_refused_for_other_reasons_is_not_told(world: World, body: dict[str, str], status: int) -> None:
    assert (await world.http().post("/api/toys", json=body)).status_code == status
    assert (await world.http(None).post("/api/toys", json={"name": "x"})).status_code == 401
    assert world.said(RequestHandled) == []
    assert world.said(RequestRefused) == []


async def test_reads_are_not_told(world: World) -> None:
    await world.http("VIEWER").get("/api/toys/x")
    assert world.bus.heard == []


async def test_a_refusal_for_a_role_is_told_with_the_role_that_was_needed(world: World) -> None:
    assert (await world.http("VIEWER").post("/api/toys", json={"name": "x"})).status_code == 403
    (reported,) = world.said(RequestRefused)
    assert (reported.action, reported.role, reported.needs, reported.unsaid) == (
        "toy.say_hello",
        "VIEWER",
        "OPERATOR",
        0,
    )


async def test_a_flood_of_refusals_is_a_trickle_of_facts_that_tell_how_many_there_were(world: World) -> None:
    http = world.http("VIEWER")
    for _ in range(35):
        assert (await http.post("/api/toys", json={"name": "x"})).status_code == 403
    assert len(world.said(RequestRefused)) == role_refusals.MAX_PER_CALLER
    world.clock.advance(60)
    await http.post("/api/toys", json={"name": "x"})
    assert world.said(RequestRefused)[-1].unsaid == 35 - role_refusals.MAX_PER_CALLER
    assert sum(1 + each.unsaid for each in world.said(RequestRefused)) == 36


async def test_a_refusal_stands_when_the_bus_is_down_and_is_counted(world: World) -> None:
    http = world.http("VIEWER")
    publish = world.bus.publish

    async def down(_: object) -> None:
        raise ConnectionError("down")

    world.bus.publish = down  # type: ignore[method-assign]
    assert (await http.post("/api/toys", json={"name": "x"})).status_code == 403
    world.bus.publish = publish  # type: ignore[method-assign]
    assert (await http.post("/api/toys", json={"name": "x"})).status_code == 403
    assert [each.unsaid for each in world.said(RequestRefused)] == [1]


@pytest.mark.parametrize(
    "written",
    [
        "+12025550123",
        "12025550123",
        "ann@example.com",
        "sms:12025550123:en_US",
        "eyJhbGciOi.eyJzdWIi.c2ln",
        "a b",
        "x" * 121,
    ],
)
def test_an_address_or_token_in_a_path_is_not_kept(written: str) -> None:
    assert ids_in({"id": written, "channel": "sms"}) == {"channel": "sms"}


@pytest.mark.parametrize("written", ["3517b341-efa7-52c1-97b1-27709cc8b36f", "whatsapp:order_update:en_US", "c0ffee"])
def test_ids_in_a_path_are_kept(written: str) -> None:
    assert ids_in({"id": written}) == {"id": written}
