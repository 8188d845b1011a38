"""The kit through its public entry points: events, feeds, ticks and HTTP; everything is delivered twice."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from libs.common.declare.ledger import LEDGER_DAYS
from libs.common.testing.world import World
from tests.kit import toy
from tests.kit.toy import Counted, Greeted, Greeting


@pytest.fixture
async def world():
    async with World([toy.service]) as world:
        yield world


async def test_an_event_that_arrives_twice_takes_effect_once(world: World) -> None:
    await world.hear(Greeted(name="ann"), key="same")
    await world.hear(Greeted(name="ann"), key="same")
    assert (await world.row("toy", Greeting, "ann")).count == 1
    assert [e.count for e in world.said(Counted)] == [1]


async def test_two_events_count_twice(world: World) -> None:
    await world.hear(Greeted(name="ann"), Greeted(name="ann"))
    assert (await world.row("toy", Greeting, "ann")).count == 2


async def test_an_event_for_another_channel_is_left_alone(world: World) -> None:
    await world.hear(Greeted(name="ann", channel="sms"))
    assert await world.row("toy", Greeting, "ann") is None
    assert world.letters() == []


async def test_poison_is_buried_with_its_cause_and_its_neighbours_go_through(world: World) -> None:
    await world.hear(Greeted(name="ann"), Greeted(name="bob", trouble="poison"), Greeted(name="cy"))
    assert await world.row("toy", Greeting, "ann")
    assert await world.row("toy", Greeting, "cy")
    assert {letter["cause"] for letter in world.letters()} == {"rejected"}


async def test_a_malformed_provider_message_is_dead_lettered_with_its_reason(world: World) -> None:
    await world.feed("toy", "what?")
    await world.feed("toy", "hi dan", times=3)
    assert (await world.row("toy", Greeting, "dan")).count == 1
    letters = world.letters()
    assert {letter["cause"] for letter in letters} == {"malformed"}
    assert "starts with hi" in letters[0]["text"]


async def test_later_comes_back_when_its_time_has_come_without_spending_attempts(world: World) -> None:
    await world.hear(Greeted(name="eve", trouble="later"))
    await world.advance(3 * 3600, step=600)
    assert world.letters() == []
    assert await world.row("toy", Greeting, "eve") is None


async def test_what_keeps_failing_is_dead_lettered_without_personal_data(world: World) -> None:
    await world.hear(Greeted(name="fay", trouble="broken"))
    await world.advance(8 * 3600, step=120)
    causes = {letter["cause"] for letter in world.letters()}
    assert causes == {"exhausted"}
    assert all("2025550123" not in letter["text"] and "x@example" not in letter["text"] for letter in world.letters())


async def test_a_request_with_the_same_key_is_done_once_and_answered_alike(world: World) -> None:
    http = world.http()
    answers = [await http.post("/api/toys", json={"name": "gil"}, headers={"Idempotency-Key": "k1"}) for _ in range(3)]
    assert {a.status_code for a in answers} == {201}
    assert {a.text for a in answers} == {answers[0].text}
    assert (await world.row("toy", Greeting, "gil")).count == 1
    assert len(world.said(Counted)) == 1


async def test_a_used_key_for_another_request_is_refused(world: World) -> None:
    http = world.http()
    await http.post("/api/toys", json={"name": "gil"}, headers={"Idempotency-Key": "k1"})
    answer = await http.post("/api/toys", json={"name": "hal"}, headers={"Idempotency-Key": "k1"})
    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_key_may_be_used_for_another_request_once_its_ledger_row_has_expired(world: World) -> None:
    http = world.http()
    await http.post("/api/toys", json={"name": "gil"}, headers={"Idempotency-Key": "k1"})
    world.clock.advance((LEDGER_DAYS + 1) * 24 * 3600)
    answer = await http.post("/api/toys", json={"name": "hal"}, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 201
    assert (await world.row("toy", Greeting, "hal")).count == 1


async def test_requests_that_race_all_count(world: World) -> None:
    http = world.http()
    answers = await asyncio.gather(*(http.post("/api/toys", json={"name": "ida"}) for _ in range(5)))
    assert {a.status_code for a in answers} <= {201, 409}
    done = sum(a.status_code == 201 for a in answers)
    assert (await world.row("toy", Greeting, "ida")).count == done


async def test_what_was_accepted_is_published_by_the_sweep_when_the_bus_was_down(world: World) -> None:
    http = world.http()
    publish = world.bus.publish

    async def down(_: object) -> None:
        raise ConnectionError("down")

    world.bus.publish = down  # type: ignore[method-assign]
    answer = await http.post("/api/toys", json={"name": "jo"})
    world.bus.publish = publish  # type: ignore[method-assign]
    assert answer.status_code == 201
    assert world.said(Counted) == []
    await world.advance(60)
    await world.tick("toy")
    assert [e.name for e in world.said(Counted)] == ["jo"]
    sent = len(world.bus.heard)
    await world.tick("toy")
    assert len(world.bus.heard) == sent


async def test_a_tick_takes_each_step_once(world: World) -> None:
    await world.http().post("/api/toys", json={"name": "kim", "mood": "sad"})
    await world.tick("toy")
    await world.tick("toy")
    assert (await world.row("toy", Greeting, "kim")).mood == "happy"
    assert len(world.said(Counted)) == 2


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        (None, "GET", "/api/toys/x", 401),
        ("nonsense", "GET", "/api/toys/x", 401),
        ("VIEWER", "POST", "/api/toys", 403),
        ("VIEWER", "GET", "/api/toys/x", 404),
        ("ADMIN", "GET", "/api/nothing", 404),
        ("ADMIN", "DELETE", "/api/toys", 405),
    ],
)
async def test_who_may_do_what(world: World, role: str | None, method: str, path: str, status: int) -> None:
    answer = await world.http(role).request(method, path, json={"name": "x"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "VALIDATION_FAILED"),
        (b"{", 400, "BAD_JSON"),
        (b'{"name": NaN}', 400, "BAD_JSON"),
        (b'{"name": "a", "name": "b"}', 400, "BAD_JSON"),
        (b"[" * 10_000 + b"]" * 10_000, 400, "BAD_JSON"),
        (b'{"name": "\xff"}', 400, "BAD_JSON"),
        (b'{"name": "' + b"a" * 2_000_000 + b'"}', 413, "BODY_TOO_LARGE"),
        (b'{"name": ""}', 422, "VALIDATION_FAILED"),
        (b'{"name": "nobody"}', 422, "NOBODY"),
    ],
)
async def test_a_bad_body_is_refused_with_a_problem_that_says_what(
    world: World, body: bytes, status: int, code: str
) -> None:
    answer = await world.http().post("/api/toys", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if code == "VALIDATION_FAILED" and body:
        assert answer.json()["errors"][0]["field"] == "name"


async def test_two_authorization_headers_are_refused(world: World) -> None:
    headers = httpx.Headers([("Authorization", "Bearer VIEWER"), ("Authorization", "Bearer ADMIN")])
    http = world.http(None)
    answer = await http.get("/api/toys/x", headers=headers)
    assert answer.status_code == 401


async def test_the_document_of_the_api_names_the_role_of_every_route(world: World) -> None:
    document = (await world.http(None).get("/api/openapi.json")).json()
    roles = {op["x-role"] for path in document["paths"].values() for op in path.values()}
    assert roles == {"OPERATOR", "VIEWER"}
