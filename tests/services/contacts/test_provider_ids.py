"""Addresses that are neither a phone number nor an e-mail address: the ids that a channel's provider gives its users."""

from __future__ import annotations

from typing import Any

import pytest

from libs.messaging.channels import Channel
from libs.messaging.checks import SendFacts, refusal
from libs.messaging.content import Text
from libs.messaging.events.contacts import ContactWroteIn, PermissionChanged
from libs.messaging.vocabulary import Purpose
from tests.services.contacts.conftest import OTHER, Town

ID, OTHER_ID = "US.1A2B3C", "US.4D5E6F"


async def created(town: Town, **body: Any) -> dict[str, Any]:
    return await town.create(**{"phone": None, "addresses": {"whatsapp": ID}, **body})


async def test_a_contact_is_created_with_an_id_and_can_be_written_to_there(town: Town) -> None:
    contact = await created(town)
    assert (contact.get("phone"), contact["providerUserIds"]) == (None, {"whatsapp": ID})
    assert {each.channel for each in town.world.said(PermissionChanged)} == {Channel.WHATSAPP}
    assert town.standing().address == ID
    await town.consent(contact["contactId"])
    await town.writes(sender=None, sender_user_id=ID)
    asked = SendFacts(Channel.WHATSAPP, Purpose.SERVICE, Text(body="hi"))
    assert refusal(town.standing(), asked, town.world.clock.now()) is None


async def test_who_writes_in_under_the_id_is_that_contact_however_often_it_is_told(town: Town) -> None:
    contact = await created(town)
    for facts in ({"sender": None, "sender_user_id": ID}, {"sender": ID}):
        message = town.message(**facts)
        await town.world.hear(message)
        await town.world.hear(message)
    assert {each.contact_id for each in town.world.said(ContactWroteIn)} == {contact["contactId"]}
    assert (await town.only())["providerUserIds"] == {"whatsapp": ID}


async def test_an_id_belongs_to_one_contact(town: Town) -> None:
    first = await created(town)
    second = await town.create(phone=OTHER)
    path = f"/api/contacts/{second['contactId']}"
    for answer in (
        await town.api.post("/api/contacts", json={"name": "Bea", "addresses": {"whatsapp": ID}}),
        await town.api.put(path, json={"addresses": {"whatsapp": ID}}),
    ):
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["contactId"]) == (
            409,
            "CONTACT_EXISTS",
            first["contactId"],
        )
        assert [error["field"] for error in problem["errors"]] == ["addresses.whatsapp"]


async def test_a_repeated_request_is_one_contact(town: Town) -> None:
    body, key = {"addresses": {"whatsapp": f" {ID} "}}, {"Idempotency-Key": "once"}
    answers = [await town.api.post("/api/contacts", json=body, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert (await town.only())["providerUserIds"] == {"whatsapp": ID}


async def test_null_clears_an_id_and_frees_it(town: Town) -> None:
    contact = await created(town, name="Ana")
    path = f"/api/contacts/{contact['contactId']}"
    for version in (contact["version"] + 1, contact["version"] + 1):
        answer = await town.api.put(path, json={"addresses": {"whatsapp": None}})
        assert (answer.json()["providerUserIds"], answer.json()["version"]) == ({}, version)
    assert town.standing().address is None
    assert (await created(town))["contactId"] != contact["contactId"]


async def test_what_is_not_given_stays(town: Town) -> None:
    contact = await created(town)
    path = f"/api/contacts/{contact['contactId']}"
    for body in ({"name": "Ana"}, {"addresses": {}}, {"phone": OTHER}):
        assert (await town.api.put(path, json=body)).json()["providerUserIds"] == {"whatsapp": ID}


async def test_a_number_that_is_added_keeps_the_window_and_another_id_does_not(town: Town) -> None:
    contact = await created(town)
    path = f"/api/contacts/{contact['contactId']}"
    await town.writes(sender=None, sender_user_id=ID)
    await town.api.put(path, json={"phone": OTHER})
    assert (town.standing().address, town.standing().last_inbound_at is not None) == (OTHER, True)
    await town.api.put(path, json={"phone": None})
    await town.writes(sender=None, sender_user_id=ID)
    await town.api.put(path, json={"addresses": {"whatsapp": OTHER_ID}})
    assert (town.standing().address, town.standing().last_inbound_at) == (OTHER_ID, None)


@pytest.mark.parametrize(
    ("addresses", "field", "says"),
    [
        ({"whatsapp": "not an id"}, "addresses.whatsapp", "such as US."),
        ({"sms": "+12025550123"}, "addresses.sms", "phone"),
        ({"email": "ana@example.com"}, "addresses.email", "email"),
        ({"whatsapp": "x" * 321}, "addresses.whatsapp", "320"),
        ({"pager": "1"}, "addresses.pager.[key]", "whatsapp"),
    ],
)
async def test_what_is_wrong_is_named(town: Town, addresses: dict[str, str], field: str, says: str) -> None:
    answer = await town.api.post("/api/contacts", json={"name": "Ana", "addresses": addresses})
    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_FAILED")
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert says in error["detail"]
    assert await town.everybody() == []
