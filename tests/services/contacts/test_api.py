"""Contacts by request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.messaging.channels import Channel
from libs.messaging.events.contacts import ContactDeleted, ContactUpdated, PermissionChanged
from tests.services.contacts.conftest import OTHER, PHONE, Town


async def test_a_contact_is_created_read_and_listed(town: Town) -> None:
    created = await town.create(phone="(202) 555-0123", defaultRegion="us", name=" Ana ", zone="Europe/Berlin")
    assert (created["phone"], created["name"]) == (PHONE, "Ana")
    read = (await town.api.get(f"/api/contacts/{created['contactId']}")).json()
    assert read == await town.only()
    assert read.items() <= {**created, "consents": read["consents"]}.items()
    assert not any(name in created for name in ("listed", "heard", "awaiting", "deletedAt"))


async def test_creation_tells_the_channels_that_have_an_address(town: Town) -> None:
    await town.create()
    assert {each.channel for each in town.world.said(PermissionChanged)} == set(Channel) - {Channel.EMAIL}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"phone": "2025550123"}, ["phone"]),
        ({"phone": "+1 202 555"}, ["phone"]),
        ({"phone": "+1 202 555 0123 ext 4"}, ["phone"]),
        ({"phone": "+999123456789"}, ["phone"]),
        ({"phone": "call me"}, ["phone"]),
        ({"phone": "2025550123", "defaultRegion": "XX"}, ["phone"]),
        ({"email": "ana@"}, ["email"]),
        ({"phone": "12", "email": "x", "zone": "Mars/Base"}, ["phone", "email", "zone"]),
        ({"name": "Ana", "zone": "../../etc/passwd"}, ["zone"]),
        ({}, ["phone"]),
        ({"name": "Ana", "optedIn": True}, ["optedIn"]),
        ({"name": "x" * 201}, ["name"]),
    ],
)
async def test_what_is_wrong_is_named(town: Town, body: dict[str, Any], fields: list[str]) -> None:
    answer = await town.api.post("/api/contacts", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "VALIDATION_FAILED"
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert await town.everybody() == []


async def test_an_address_belongs_to_one_contact(town: Town) -> None:
    first = await town.create(email="ana@example.com")
    for body in ({"phone": PHONE}, {"email": "ANA@example.com"}):
        answer = await town.api.post("/api/contacts", json=body)
        assert answer.status_code == 409
        assert (answer.json()["code"], answer.json()["contactId"]) == ("CONTACT_EXISTS", first["contactId"])


async def test_many_creations_at_once_make_one_contact(town: Town) -> None:
    answers = await asyncio.gather(*(town.api.post("/api/contacts", json={"phone": PHONE}) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9


async def test_a_repeated_request_gets_the_same_answer(town: Town) -> None:
    key = {"Idempotency-Key": "once"}
    first = await town.api.post("/api/contacts", json={"phone": PHONE}, headers=key)
    again = await town.api.post("/api/contacts", json={"phone": PHONE}, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())


async def test_an_update_changes_what_is_given_and_null_clears(town: Town) -> None:
    created = await town.create(name="Ana", email="ana@example.com")
    path = f"/api/contacts/{created['contactId']}"
    updated = (await town.api.put(path, json={"email": None, "locale": "de"})).json()
    assert "email" not in {name for name, value in updated.items() if value is not None}
    assert (updated["name"], updated["locale"], updated["version"]) == ("Ana", "de", created["version"] + 1)
    assert town.standing(Channel.EMAIL).address is None
    assert len(town.world.said(ContactUpdated)) == 1


async def test_an_update_that_changes_nothing_says_nothing(town: Town) -> None:
    created = await town.create(name="Ana")
    same = (await town.api.put(f"/api/contacts/{created['contactId']}", json={"name": "Ana"})).json()
    assert same["version"] == created["version"]
    assert town.world.said(ContactUpdated) == []


async def test_who_was_slower_is_told(town: Town) -> None:
    created = await town.create(name="Ana")
    path = f"/api/contacts/{created['contactId']}"
    assert (await town.api.put(path, json={"name": "Bea", "version": created["version"]})).status_code == 200
    answer = await town.api.put(path, json={"name": "Cleo", "version": created["version"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "VERSION_CONFLICT")
    assert (await town.only())["name"] == "Bea"


async def test_a_new_number_frees_the_old_one_and_leaves_its_window_behind(town: Town) -> None:
    await town.writes()
    created = await town.only()
    path = f"/api/contacts/{created['contactId']}"
    assert (await town.api.put(path, json={"phone": OTHER})).status_code == 200
    standing = town.standing()
    assert (standing.address, standing.last_inbound_at, standing.opted_in) == (OTHER, None, False)
    assert (await town.create(phone=PHONE))["contactId"] != created["contactId"]
    assert (await town.api.put(path, json={"phone": PHONE})).json()["code"] == "CONTACT_EXISTS"


async def test_an_opt_out_goes_along_to_the_new_number(town: Town) -> None:
    await town.writes("STOP")
    created = await town.only()
    await town.api.put(f"/api/contacts/{created['contactId']}", json={"phone": OTHER})
    assert town.standing().opted_out_at is not None


async def test_a_deleted_contact_is_gone_and_its_number_is_free(town: Town) -> None:
    created = await town.create(name="Ana", email="ana@example.com")
    path = f"/api/contacts/{created['contactId']}"
    assert (await town.api.delete(path)).status_code == 204
    assert (await town.api.get(path)).json()["code"] == "CONTACT_NOT_FOUND"
    assert (await town.api.delete(path)).status_code == 404
    assert await town.everybody() == []
    assert (await town.api.get("/api/contacts/search", params={"q": "ana"})).json()["items"] == []
    assert len(town.world.said(ContactDeleted)) == 1
    assert all(town.standing(channel).deleted for channel in Channel)
    again = await town.create(name="Ana", email="ana@example.com")
    assert again["contactId"] != created["contactId"]


async def test_somebody_deleted_who_writes_again_is_somebody_new(town: Town) -> None:
    await town.writes()
    old = await town.only()
    await town.api.delete(f"/api/contacts/{old['contactId']}")
    await town.writes()
    assert (await town.only())["contactId"] != old["contactId"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/contacts"),
        ("PUT", "/api/contacts/x"),
        ("DELETE", "/api/contacts/x"),
        ("PUT", "/api/contacts/x/consents/sms"),
    ],
)
async def test_a_viewer_may_only_look(town: Town, method: str, path: str) -> None:
    viewer = town.world.http("VIEWER")
    assert (await viewer.request(method, path, json={})).status_code == 403
    assert (await viewer.get("/api/contacts")).status_code == 200
    assert (await town.world.http(None).get("/api/contacts")).status_code == 401
