"""What can be configured: typed, over the version that was seen, with its history; and mistakes that are named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from libs.common.settings import read
from libs.common.testing.world import World
from libs.messaging.configuration import CATALOGUE
from libs.messaging.events.settings import SettingChanged, SettingTold
from services.settings.service import service

ENVIRONMENT = {"WECARE_STAGE": "test", "WECARE_OPT_OUT_WORDS": "fuera", "WECARE_MARKETING_DAILY_CAP": "3"}


class Desk:
    def __init__(self, **environment: str) -> None:
        self.world = World([service], settings=read({**ENVIRONMENT, **environment}))
        self.admin = self.world.http("ADMIN")
        self.viewer = self.world.http("VIEWER")

    async def asked(self, method: str, path: str = "", body: Any = None, expect: int = 200) -> Any:
        answer = await self.admin.request(method, f"/api/settings{path}", json=body)
        assert answer.status_code == expect, answer.text
        await self.world.settle()
        return answer.json()

    async def set(self, key: str, value: Any, version: int = 0, expect: int = 200) -> Any:
        return await self.asked("PUT", f"/{key}", {"value": value, "version": version}, expect)


@pytest.fixture
async def batchers() -> AsyncIterator[Desk]:
    batchers = Desk()
    async with batchers.world:
        yield batchers


async def test_everything_that_can_be_configured_is_listed_with_what_it_is(batchers: Desk) -> None:
    items = {each["key"]: each for each in (await batchers.viewer.get("/api/settings")).json()["items"]}
    assert set(items) == set(CATALOGUE)
    words = items["opt-out-words"]
    assert (words["value"], words["default"], words["isDefault"], words["version"]) == (["fuera"], ["fuera"], True, 0)
    assert words["valueSchema"] == {"items": {"type": "string"}, "type": "array"}
    cap = items["marketing-daily-cap"]
    assert (cap["value"], cap["unit"]) == (3, "messages in 24 hours")
    assert cap["valueSchema"] == {"maximum": 100, "minimum": 0, "type": "integer"}
    assert all(each["description"] for each in items.values())


async def test_a_change_is_in_force_said_whole_and_on_record(batchers: Desk) -> None:
    made = await batchers.set("marketing-daily-cap", 2)
    assert (made["value"], made["default"], made["isDefault"], made["version"]) == (2, 3, False, 1)
    assert made["updatedBy"] == "user:test-admin"
    assert (await batchers.asked("GET", "/marketing-daily-cap")) == made
    (said,) = batchers.world.said(SettingChanged)
    assert (said.key, said.revision, said.value, said.before, said.by) == (
        "marketing-daily-cap", 1, 2, 3, "user:test-admin",
    )  # fmt: skip


async def test_the_history_has_every_value_newest_first_in_pages(batchers: Desk) -> None:
    for version, value in enumerate([1, 2, 5]):
        await batchers.set("marketing-daily-cap", value, version)
    await batchers.asked("POST", "/marketing-daily-cap/reset", {"version": 3})
    first = await batchers.asked("GET", "/marketing-daily-cap/history?limit=3")
    second = await batchers.asked("GET", f"/marketing-daily-cap/history?limit=3&cursor={first['cursor']}")
    shown = [(each["number"], each.get("value")) for each in [*first["items"], *second["items"]]]
    assert shown == [(4, None), (3, 5), (2, 2), (1, 1)]
    assert {each["updatedBy"] for each in first["items"]} == {"user:test-admin"}


async def test_set_back_it_follows_the_environment_again(batchers: Desk) -> None:
    await batchers.set("opt-out-words", ["basta"])
    back = await batchers.asked("POST", "/opt-out-words/reset", {"version": 1})
    assert (back["value"], back["isDefault"], back["version"]) == (["fuera"], True, 2)
    assert [(each.revision, each.value) for each in batchers.world.said(SettingChanged)] == [(1, ["basta"]), (2, None)]


async def test_who_did_not_see_the_newest_is_shown_it(batchers: Desk) -> None:
    await batchers.set("business-name", "Example Store")
    refused = await batchers.set("business-name", "Other Store", 0, expect=409)
    assert refused["code"] == "VERSION_CONFLICT"
    assert (refused["current"]["value"], refused["current"]["version"]) == ("Example Store", 1)
    assert refused["current"]["updatedBy"] == "user:test-admin"
    refused = await batchers.asked("POST", "/business-name/reset", {"version": 7}, expect=409)
    assert refused["code"] == "VERSION_CONFLICT"
    assert (await batchers.asked("GET", "/business-name"))["value"] == "Example Store"


async def test_of_two_at_the_same_moment_one_wins_and_the_other_is_told(batchers: Desk) -> None:
    async def put(name: str) -> httpx.Response:
        return await batchers.admin.put("/api/settings/business-name", json={"value": name, "version": 0})

    answers = await asyncio.gather(*(put(f"Store {n}") for n in range(5)))
    assert sorted(each.status_code for each in answers) == [200, 409, 409, 409, 409]
    won = next(each.json()["value"] for each in answers if each.status_code == 200)
    assert (await batchers.asked("GET", "/business-name"))["value"] == won
    assert len(batchers.world.said(SettingChanged)) == 1


async def test_the_same_value_again_is_no_change(batchers: Desk) -> None:
    await batchers.set("business-name", "Example Store")
    again = await batchers.set("business-name", "Example Store", 1)
    assert again["version"] == 1
    never = await batchers.asked("POST", "/help-contact/reset", {"version": 0})
    assert never["version"] == 0
    assert len(batchers.world.said(SettingChanged)) == 1


async def test_the_same_request_again_under_its_key_is_one_change(batchers: Desk) -> None:
    body = {"value": "Example Store", "version": 0}
    answers = [
        await batchers.admin.put("/api/settings/business-name", json=body, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]
    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize(
    ("key", "value", "reported"),
    [
        ("marketing-daily-cap", "3", "valid integer"),
        ("marketing-daily-cap", True, "valid integer"),
        ("marketing-daily-cap", 2.5, "valid integer"),
        ("marketing-daily-cap", 101, "less than or equal to 100"),
        ("whatsapp-daily-recipients", -1, "greater than or equal to 0"),
        ("marketing-hours", "8-21", "pattern"),
        ("marketing-hours", "25:00-26:00", "08:00-21:00"),
        ("marketing-hours", "21:00-08:00", "begin before they end"),
        ("default-zone", "Mars/Olympus", "IANA"),
        ("default-zone", "../etc/passwd", "IANA"),
        ("default-zone", "", "IANA"),
        ("business-name", "x" * 61, "60 characters"),
        ("business-name", None, "reset"),
        ("opt-out-words", {"es": ["basta"]}, "valid"),
        ("opt-out-words", ["x" * 41], "40 characters"),
        ("opt-out-words", ["w"] * 101, "Up to 100 words"),
        ("opt-out-words", ["🛑"], "no letter or digit"),
        ("opt-in-words", ["Stop!"], "a word of OPT_OUT already"),
        ("opt-in-words", ["FUERA"], "a word of OPT_OUT already"),
    ],
)
async def test_a_value_that_cannot_be_is_refused_and_nothing_is_changed(
    batchers: Desk, key: str, value: Any, reported: str
) -> None:
    refused = await batchers.set(key, value, expect=422)
    assert refused["code"] == "VALIDATION_FAILED"
    assert refused["errors"][0]["field"].startswith("value")
    assert reported in refused["errors"][0]["detail"]
    assert not batchers.world.bus.heard
    assert (await batchers.asked("GET", f"/{key}"))["version"] == 0


async def test_one_wrong_word_of_several_is_named_by_its_place(batchers: Desk) -> None:
    refused = await batchers.set("opt-out-words", ["basta", 7], expect=422)
    assert [error["field"] for error in refused["errors"]] == ["value.1"]


async def test_a_word_is_free_again_when_the_other_list_has_given_it_up(batchers: Desk) -> None:
    await batchers.set("opt-out-words", ["basta"])
    await batchers.set("help-words", ["fuera"])
    # So the default would not go with it any more.
    refused = await batchers.asked("POST", "/opt-out-words/reset", {"version": 1}, expect=422)
    assert "a word of HELP already" in refused["errors"][0]["detail"]


@pytest.mark.parametrize(
    "body", [{"value": 1}, {"version": 0}, {"value": 1, "version": -1}, {"value": 1, "version": 0, "x": 1}]
)
async def test_a_body_that_is_not_whole_is_refused(batchers: Desk, body: Any) -> None:
    assert (await batchers.asked("PUT", "/marketing-daily-cap", body, expect=422))["errors"]


async def test_there_is_no_other_setting(batchers: Desk) -> None:
    refused = await batchers.set("send-mode", "LIVE", expect=404)
    assert refused["code"] == "SETTING_NOT_FOUND"
    assert "opt-out-words" in refused["detail"]
    await batchers.asked("GET", "/send-mode", expect=404)
    await batchers.asked("GET", "/send-mode/history", expect=404)


@pytest.mark.parametrize("role", ["VIEWER", "OPERATOR"])
async def test_everybody_looks_and_only_administrators_change(batchers: Desk, role: str) -> None:
    client = batchers.world.http(role)
    assert (await client.get("/api/settings/business-name/history")).status_code == 200
    body = {"value": "x", "version": 0}
    assert (await client.put("/api/settings/business-name", json=body)).status_code == 403
    assert (await client.post("/api/settings/business-name/reset", json={"version": 0})).status_code == 403


async def test_what_is_set_is_told_again_once_an_hour(batchers: Desk) -> None:
    await batchers.set("business-name", "Example Store")
    for _ in range(12):
        await batchers.world.tick("settings", "tell")
        batchers.world.clock.advance(600)
    reported = batchers.world.said(SettingTold)
    assert {(each.key, each.revision, each.value) for each in reported} == {("business-name", 1, "Example Store")}
    assert len(reported) == 2
