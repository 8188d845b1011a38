"""Changing people: in the user pool and in our rows, whole or not at all; and somebody can always administer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import jwt
import pytest

from deploy.local import cognito
from libs.common.handle.delivery import run_tick
from libs.common.testing.fault_proxy import Rule
from libs.messaging.events.identity import UserChangeAsked, UserChanged, UserChangeRefused, UserRemoved
from services.identity.model import SYNC_DEADLINE
from services.identity.service import service
from tests.services.identity.conftest import Office, fields


async def test_a_role_is_changed_in_the_pool_and_then_here(office: Office) -> None:
    operator = await office.id_of("OPERATOR")
    accepted = await office.asked("PUT", f"/{operator}", {"role": "ADMIN"}, expect=202)
    assert (accepted["role"], accepted["pending"]["role"]) == ("OPERATOR", "ADMIN")
    await office.world.settle()
    assert office.groups("operator@example.com") == ["ADMIN"]
    shown = await office.asked("GET", f"/{operator}")
    assert (shown["role"], "pending" in shown) == ("ADMIN", False)
    said = [each for each in office.world.bus.heard if isinstance(each.data, UserChanged)][-1]
    assert (said.data.role_before, said.data.role) == ("OPERATOR", "ADMIN")
    assert said.actor == f"user:{await office.id_of('ADMIN')}"
    # More rights come with the next refresh; nobody is thrown out for them.
    assert office.proxy.calls["cognito-idp", "AdminUserGlobalSignOut"] == 0


def _refresh(office: Office, tokens: dict[str, str]) -> Any:
    return office.boto.initiate_auth(
        ClientId=office.config["WECARE_COGNITO_CLIENT_ID"],
        AuthFlow="REFRESH_TOKEN_AUTH",
        AuthParameters={"REFRESH_TOKEN": tokens["RefreshToken"]},
    )


@pytest.mark.parametrize("body", [{"role": "VIEWER"}, {"status": "disabled"}])
async def test_what_takes_something_away_ends_the_sessions(office: Office, body: dict[str, str]) -> None:
    tokens = cognito.sign_in(office.boto, office.config["WECARE_COGNITO_CLIENT_ID"], "OPERATOR")
    assert _refresh(office, tokens)
    # The emulator ends sessions by the whole second in which they began, which may be the one after the access token's.
    began = jwt.decode(tokens["AccessToken"], options={"verify_signature": False})["iat"]
    await asyncio.sleep(max(0.0, began + 2 - time.time()))
    await office.done("PUT", f"/{await office.id_of('OPERATOR')}", body)
    with pytest.raises(office.boto.exceptions.NotAuthorizedException):
        _refresh(office, tokens)


async def test_who_is_disabled_cannot_sign_in_until_they_are_enabled(office: Office) -> None:
    viewer = await office.id_of("VIEWER")
    await office.done("PUT", f"/{viewer}", {"status": "disabled"})
    assert (await office.users())["viewer@example.com"]["status"] == "disabled"
    with pytest.raises(office.boto.exceptions.NotAuthorizedException):
        office.signs_in("VIEWER")
    await office.done("PUT", f"/{viewer}", {"status": "active", "role": "OPERATOR"})
    assert (await office.users())["viewer@example.com"]["status"] == "active"
    assert office.groups("viewer@example.com") == ["OPERATOR"]
    assert office.signs_in("VIEWER")


async def test_who_never_signed_in_and_is_enabled_again_is_still_only_invited(office: Office) -> None:
    await office.done("POST", "", {"email": "ann@example.com", "role": "VIEWER"})
    ann = (await office.users())["ann@example.com"]["userId"]
    await office.done("PUT", f"/{ann}", {"status": "disabled"})
    await office.done("PUT", f"/{ann}", {"status": "active"})
    assert (await office.users())["ann@example.com"]["status"] == "invited"


async def test_somebody_can_be_removed(office: Office) -> None:
    viewer = await office.id_of("VIEWER")
    await office.done("DELETE", f"/{viewer}")
    assert office.in_pool("viewer@example.com") is None
    await office.asked("GET", f"/{viewer}", expect=404)
    assert [each.email for each in office.world.said(UserRemoved)] == ["viewer@example.com"]


async def test_a_change_of_somebody_whom_the_console_removed_meanwhile_removes_them_here(office: Office) -> None:
    viewer = await office.id_of("VIEWER")
    await office.asked("PUT", f"/{viewer}", {"role": "OPERATOR"}, expect=202)
    office.boto.admin_delete_user(UserPoolId=office.pool, Username=viewer)
    await office.world.settle()
    await office.asked("GET", f"/{viewer}", expect=404)
    assert not office.world.letters()


async def test_what_is_so_already_is_no_change(office: Office) -> None:
    viewer = await office.id_of("VIEWER")
    same = await office.done("PUT", f"/{viewer}", {"role": "VIEWER", "status": "active"})
    assert "pending" not in same
    assert office.world.said(UserChangeAsked) == []


@pytest.mark.parametrize("operation", ["AdminAddUserToGroup", "AdminRemoveUserFromGroup", "AdminUserGlobalSignOut"])
@pytest.mark.parametrize("fault", ["lost", "reset", "error"])
async def test_a_change_that_was_cut_short_is_ended_by_the_next_try(office: Office, operation: str, fault: Any) -> None:
    operator = await office.id_of("OPERATOR")
    office.fails(Rule(fault, operation=operation, nth=(1,)))
    await office.done("PUT", f"/{operator}", {"role": "VIEWER"})
    await office.world.advance(60, step=5)
    assert office.groups("operator@example.com") == ["VIEWER"]
    assert (await office.users())["operator@example.com"]["role"] == "VIEWER"
    assert len([each for each in office.world.said(UserChanged) if each.role_before == "OPERATOR"]) == 1


async def test_one_change_of_a_person_at_a_time(office: Office) -> None:
    operator = await office.id_of("OPERATOR")
    await office.asked("PUT", f"/{operator}", {"role": "VIEWER"}, expect=202)
    refused = await office.asked("PUT", f"/{operator}", {"role": "ADMIN"}, expect=409)
    assert refused["code"] == "CHANGE_PENDING"
    # One that got lost may be asked for anew, and does nothing should it turn up.
    office.world.clock.advance(SYNC_DEADLINE.total_seconds() + 1)
    await office.done("PUT", f"/{operator}", {"role": "ADMIN"})
    assert office.groups("operator@example.com") == ["ADMIN"]


async def test_a_reading_does_not_undo_what_is_on_its_way_or_was_just_done(office: Office) -> None:
    operator = await office.id_of("OPERATOR")
    await office.asked("PUT", f"/{operator}", {"role": "VIEWER"}, expect=202)
    office.world.clock.advance(60)
    assert await run_tick(office.world.runtime, service, service.every[0]) == 1  # that the pool was read
    assert (await office.asked("GET", f"/{operator}"))["pending"]["role"] == "VIEWER"
    await office.world.settle()
    # Cognito's list lags: it still has them as they were.
    office.boto.admin_add_user_to_group(UserPoolId=office.pool, Username=operator, GroupName="OPERATOR")
    office.world.clock.advance(60)
    await run_tick(office.world.runtime, service, service.every[0])
    assert (await office.users())["operator@example.com"]["role"] == "VIEWER"
    # What the list says a good while later is news.
    await office.reads_the_pool()
    assert (await office.users())["operator@example.com"]["role"] == "OPERATOR"


@pytest.mark.parametrize("body", [{"role": "VIEWER"}, {"status": "disabled"}, None])
async def test_nobody_changes_themselves(office: Office, body: Any) -> None:
    me = await office.id_of("ADMIN")
    refused = await office.asked("PUT" if body else "DELETE", f"/{me}", body, expect=409)
    assert refused["code"] == "OWN_USER"


async def _second_admin(office: Office) -> tuple[str, str]:
    """The operator is made ADMIN and has a token of that."""
    first, second = await office.id_of("ADMIN"), await office.id_of("OPERATOR")
    await office.done("PUT", f"/{second}", {"role": "ADMIN"})
    return first, second


async def test_of_two_who_demote_each_other_one_remains(office: Office) -> None:
    first, second = await _second_admin(office)
    answers = await asyncio.gather(
        office.signs_in("ADMIN").put(f"/api/users/{second}", json={"role": "VIEWER"}),
        office.signs_in("OPERATOR").put(f"/api/users/{first}", json={"role": "VIEWER"}),
    )
    await office.world.settle()
    assert sorted(answer.status_code for answer in answers) == [202, 409]
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert refused["code"] == "LAST_ADMIN"
    held = [office.groups(f"{who}@example.com") for who in ("admin", "operator")]
    assert sorted(held) == [["ADMIN"], ["VIEWER"]]


@pytest.mark.parametrize("body", [{"role": "OPERATOR"}, {"status": "disabled"}, None])
async def test_who_was_demoted_cannot_take_the_last_administrator_along(office: Office, body: Any) -> None:
    first, second = await _second_admin(office)
    late = office.signs_in("OPERATOR")
    await office.done("PUT", f"/{second}", {"role": "OPERATOR"})
    # Their token says ADMIN until it expires.
    answer = await late.request("PUT" if body else "DELETE", f"/api/users/{first}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "LAST_ADMIN")


async def test_an_administrator_who_never_signed_in_does_not_count(office: Office) -> None:
    _first, second = await _second_admin(office)
    await office.done("POST", "", {"email": "ann@example.com", "role": "ADMIN"})
    late = office.signs_in("OPERATOR")
    await office.done("PUT", f"/{second}", {"role": "OPERATOR"})
    answer = await late.put(f"/api/users/{_first}", json={"role": "VIEWER"})
    assert answer.json()["code"] == "LAST_ADMIN"


async def test_the_pool_is_asked_once_more_before_an_administrator_goes(office: Office) -> None:
    first, second = await _second_admin(office)
    late = office.signs_in("OPERATOR")
    # The console takes one away, and nobody has read it yet.
    office.boto.admin_disable_user(UserPoolId=office.pool, Username=second)
    assert (await late.put(f"/api/users/{first}", json={"role": "VIEWER"})).status_code == 202
    await office.world.settle()
    assert office.groups("admin@example.com") == ["ADMIN"]
    shown = await office.asked("GET", f"/{first}")
    assert (shown["role"], "pending" in shown) == ("ADMIN", False)
    assert "Nobody else" in shown["refused"]
    assert len(office.world.said(UserChangeRefused)) == 1


@pytest.mark.parametrize(
    ("body", "field"), [({}, "role"), ({"role": "OWNER"}, "role"), ({"status": "invited"}, "status"), ({"x": 1}, "x")]
)
async def test_a_mistake_is_named_by_its_field(office: Office, body: Any, field: str) -> None:
    assert field in fields(await office.asked("PUT", f"/{await office.id_of('VIEWER')}", body, expect=422))


async def test_somebody_who_is_not_there_cannot_be_changed(office: Office) -> None:
    refused = await office.asked("PUT", "/nobody", {"role": "VIEWER"}, expect=404)
    assert refused["code"] == "USER_NOT_FOUND"
