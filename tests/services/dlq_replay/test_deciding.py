"""Edit and discard: by an admin, for a reason, on record; and who may do what."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from libs.messaging.events.dlq import LetterDecided
from tests.services.dlq_replay.kit import Bench, ids

WHY = "the trouble was a typing error"


async def _edit(bench: Bench, dead_letter: dict[str, Any], data: dict[str, Any], client: Any = None) -> httpx.Response:
    answer: httpx.Response = await (client or bench.admin).post(
        f"/api/dlq/{dead_letter['dlqMessageId']}/edit", json={"data": data, "why": WHY}
    )
    return answer


async def _poisoned(bench: Bench) -> dict[str, Any]:
    await bench.dies("ann", trouble="poison")
    return await bench.show(await bench.only())


async def test_an_edited_letter_is_replayed_as_edited_and_its_original_is_kept() -> None:
    bench = Bench()
    dead_letter = await _poisoned(bench)
    answer = await _edit(bench, dead_letter, {**dead_letter["event"]["data"], "trouble": ""})
    assert answer.status_code == 200, answer.text
    await bench.replayed(ids=ids([dead_letter]))
    assert bench.shop.applied == {"ann": 1}
    reported = await bench.show(dead_letter)
    assert reported["event"] == dead_letter["event"]
    assert reported["editedEvent"]["id"] == dead_letter["eventId"]
    assert reported["editedEvent"]["data"]["trouble"] == ""
    assert [(action["what"], action["by"]) for action in reported["history"]] == [
        ("edited", "user:test-admin"),
        ("replayed", "user:test-operator"),
    ]
    assert [each.decision for each in bench.world.said(LetterDecided)] == ["edited", "replayed"]


async def test_what_dies_of_an_edited_replay_comes_back_to_the_same_letter() -> None:
    bench = Bench()
    dead_letter = await _poisoned(bench)
    await _edit(bench, dead_letter, {**dead_letter["event"]["data"], "trouble": "poison", "extra": "1"})
    await bench.replayed(ids=ids([dead_letter]))
    reported = await bench.show(await bench.only())
    assert (reported["dlqMessageId"], reported["event"]) == (dead_letter["dlqMessageId"], dead_letter["event"])
    assert reported["attempts"][-1]["replay"] == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "bob"}, "data.name"),
        ({"channel": "sms"}, "data.channel"),
        ({"to": "+12025550199"}, "data.to"),
        ({"more": {"contactId": "c2"}}, "data.more.contactId"),
    ],
)
async def test_an_edit_cannot_change_whom_or_what_it_is_about(change: dict[str, Any], field: str) -> None:
    bench = Bench()
    dead_letter = await _poisoned(bench)
    answer = await _edit(bench, dead_letter, {**dead_letter["event"]["data"], **change})
    reported = answer.json()
    assert (answer.status_code, reported["code"], reported["errors"][0]["field"]) == (422, "RECIPIENT_FIXED", field)
    assert not (await bench.show(dead_letter))["history"]


async def test_an_edit_that_is_no_valid_event_is_refused_with_the_field() -> None:
    bench = Bench()
    dead_letter = await _poisoned(bench)
    answer = await _edit(bench, dead_letter, {**dead_letter["event"]["data"], "trouble": 7})
    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_FAILED")
    assert "trouble" in answer.json()["detail"]


async def test_an_edit_that_would_not_fit_beside_its_original_is_refused() -> None:
    bench = Bench()
    dead_letter = await _poisoned(bench)
    answer = await _edit(bench, dead_letter, {**dead_letter["event"]["data"], "trouble": "x" * 100_000})
    assert (answer.status_code, answer.json()["code"]) == (422, "TOO_LARGE")


async def test_a_providers_message_cannot_be_edited() -> None:
    bench = Bench()
    await bench.world.feed("shop", "unreadable")
    answer = await _edit(bench, await bench.only(), {})
    assert (answer.status_code, answer.json()["code"]) == (422, "NOT_AN_EVENT")


async def test_a_discarded_letter_keeps_its_record_and_is_not_replayed() -> None:
    bench = Bench()
    await bench.dies("ann", "bob")
    ann, bob = await bench.letters()
    answer = await bench.admin.post("/api/dlq/discard", json={"ids": ids([ann]), "why": "sold out for good"})
    assert answer.status_code == 200, answer.text
    reported = await bench.show(ann)
    assert (reported["state"], reported["history"][0]["why"]) == ("discarded", "sold out for good")
    job = await bench.replayed(filter={})
    assert job["total"] == 1
    assert (await bench.ask(status=409, ids=ids([ann])))["code"] == "NOT_WAITING"
    assert (await bench.ask(ids=ids([ann, bob]), status=409))["code"] == "NOT_WAITING"
    (said,) = [each for each in bench.world.said(LetterDecided) if each.decision == "discarded"]
    assert said.why == "sold out for good"


async def test_discarding_and_editing_take_a_reason() -> None:
    bench = Bench()
    dead_letter = await _poisoned(bench)
    for path, body in (
        ("/api/dlq/discard", {"ids": ids([dead_letter])}),
        (f"/api/dlq/{dead_letter['dlqMessageId']}/edit", {"data": {}}),
    ):
        answer = await bench.admin.post(path, json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "why"


async def test_viewers_look_operators_replay_and_admins_edit_and_discard() -> None:
    bench = Bench()
    dead_letter = await _poisoned(bench)
    one = ids([dead_letter])
    data = dead_letter["event"]["data"]
    assert (await bench.viewer.post("/api/dlq/replay", json={"ids": one})).status_code == 403
    assert (await _edit(bench, dead_letter, data, bench.operator)).status_code == 403
    assert (await bench.operator.post("/api/dlq/discard", json={"ids": one, "why": WHY})).status_code == 403
    assert (await bench.viewer.post("/api/dlq/simulate", json={"ids": one})).status_code == 200
    assert (await bench.world.http(None).get("/api/dlq")).status_code == 401
    assert (await bench.show(dead_letter))["history"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "ids"),
        ({"ids": ["a"], "filter": {}}, "ids"),
        ({"ids": ["a"], "rate": 0}, "rate"),
        ({"filter": {"state": "replayed"}}, "filter.state"),
        ({"filter": {"colour": "red"}}, "filter.colour"),
        ({"ids": ["a"] * 3, "limit": 0}, "limit"),
        ({"ids": [f"a{n}" for n in range(101)]}, "limit"),
    ],
)
async def test_a_replay_that_is_asked_for_wrongly_names_the_field(body: dict[str, Any], field: str) -> None:
    reported = await Bench().ask(status=422, **body)
    assert reported["errors"][0]["field"] == field
