"""Inviting somebody: made once in the user pool, in their role, and written to once."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from libs.common.testing.fault_proxy import Rule
from libs.messaging.events.identity import InvitationRefused, UserInvited
from services.identity.model import SYNC_DEADLINE
from tests.services.identity.conftest import Office, fields

ANN = {"email": "Ann@Example.com", "role": "OPERATOR"}


async def test_an_invitation_is_accepted_made_and_told(office: Office) -> None:
    asked = await office.asked("POST", "", ANN, expect=202)
    assert (asked["email"], asked["role"], asked["state"]) == ("ann@example.com", "OPERATOR", "asked")
    assert office.in_pool("ann@example.com") is None
    assert [each["email"] for each in (await office.asked("GET", "/invitations"))["items"]] == ["ann@example.com"]
    await office.world.settle()
    ann = (await office.users())["ann@example.com"]
    assert (ann["role"], ann["status"]) == ("OPERATOR", "invited")
    assert office.groups("ann@example.com") == ["OPERATOR"]
    assert (await office.asked("GET", "/invitations"))["items"] == []
    envelope = next(each for each in office.world.bus.heard if isinstance(each.data, UserInvited))
    assert envelope.actor == f"user:{await office.id_of('ADMIN')}"
    assert office.proxy.calls["cognito-idp", "AdminCreateUser"] == 1


@pytest.mark.parametrize("fault", [[], [Rule("lost", operation="AdminCreateUser", nth=(1,))]], ids=["calm", "lost"])
async def test_they_are_written_to_once(office: Office, emulator: dict[str, str], fault: list[Rule]) -> None:
    office.fails(*fault)
    email = f"ann-{office.pool.lower()}@example.com"
    await office.done("POST", "", {**ANN, "email": email})
    await office.world.advance(60, step=5)
    async with httpx.AsyncClient(base_url=emulator["AWS_ENDPOINT_URL"]) as mailbox:
        sent = (await mailbox.get("/_ministack/ses/messages")).json()["messages"]
    mails = [mail for account in sent.values() for mail in account if email in mail["To"]]
    assert [mail["Subject"] for mail in mails] == ["Your temporary password"]


async def test_asking_again_under_one_key_is_one_invitation(office: Office) -> None:
    client = office.signs_in()
    answers = [await client.post("/api/users", json=ANN, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    await office.world.settle()
    assert len(office.world.said(UserInvited)) == 1


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("AdminCreateUser", "lost"),
        ("AdminCreateUser", "reset"),
        ("AdminAddUserToGroup", "lost"),
        ("AdminAddUserToGroup", "reset"),
        ("AdminGetUser", "reset"),
    ],
)
async def test_an_invitation_that_was_cut_short_is_ended_by_the_next_try(
    office: Office, operation: str, fault: Any
) -> None:
    office.fails(Rule(fault, operation=operation, nth=(1,)))
    await office.done("POST", "", ANN)
    await office.world.advance(60, step=5)
    ann = (await office.users())["ann@example.com"]
    assert (ann["role"], ann["status"]) == ("OPERATOR", "invited")
    assert len(office.world.said(UserInvited)) == 1
    assert not office.world.said(InvitationRefused)
    assert not office.world.letters()


async def test_whoever_is_there_already_is_refused_when_we_know_it(office: Office) -> None:
    refused = await office.asked("POST", "", {"email": "VIEWER@example.com", "role": "ADMIN"}, expect=409)
    assert (refused["code"], refused["userId"]) == ("USER_EXISTS", await office.id_of("VIEWER"))


async def test_and_left_alone_when_only_the_pool_knows_it(office: Office) -> None:
    office.made_by_hand("ann@example.com", "VIEWER")
    await office.done("POST", "", ANN)
    assert office.groups("ann@example.com") == ["VIEWER"]
    (shown,) = (await office.asked("GET", "/invitations"))["items"]
    assert shown["state"] == "refused"
    assert "already" in shown["reason"]
    assert len(office.world.said(InvitationRefused)) == 1


async def test_what_the_pool_refuses_is_told_in_its_words_and_may_be_asked_again(office: Office) -> None:
    office.fails(Rule("error", operation="AdminCreateUser", status=400, code="UserLambdaValidationException"))
    await office.done("POST", "", ANN)
    (shown,) = (await office.asked("GET", "/invitations"))["items"]
    assert (shown["state"], shown["reason"]) == ("refused", "injected")
    office.fails()
    await office.done("POST", "", ANN)
    assert (await office.users())["ann@example.com"]["role"] == "OPERATOR"


async def test_an_invitation_on_its_way_is_not_asked_for_twice_and_one_that_got_lost_is(office: Office) -> None:
    await office.asked("POST", "", ANN, expect=202)
    refused = await office.asked("POST", "", ANN, expect=409)
    assert refused["code"] == "INVITATION_PENDING"
    office.world.clock.advance(SYNC_DEADLINE.total_seconds() + 1)
    await office.done("POST", "", {**ANN, "role": "VIEWER"})
    assert office.groups("ann@example.com") == ["VIEWER"]
    assert len(office.world.said(UserInvited)) == 1


async def test_who_was_removed_can_be_invited_again(office: Office) -> None:
    await office.done("POST", "", ANN)
    first = (await office.users())["ann@example.com"]["userId"]
    await office.done("DELETE", f"/{first}")
    await office.done("POST", "", ANN)
    assert (await office.users())["ann@example.com"]["userId"] != first


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "ann", "role": "VIEWER"}, "email"),
        ({"email": "ann@example.com", "role": "OWNER"}, "role"),
        ({"email": "ann@example.com"}, "role"),
        ({"email": f"{'a' * 120}@example.com", "role": "VIEWER"}, "email"),
        ({"email": "ann@example.com", "role": "VIEWER", "name": "Ann"}, "name"),
    ],
)
async def test_a_mistake_is_named_by_its_field(office: Office, body: dict[str, str], field: str) -> None:
    assert field in fields(await office.asked("POST", "", body, expect=422))
