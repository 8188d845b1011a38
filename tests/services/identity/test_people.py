"""Who there is: as the user pool has them, however they came to be there."""

from __future__ import annotations

import pytest

from libs.common.declare.topology import topology
from libs.common.settings import Settings
from libs.common.testing.fault_proxy import Rule
from libs.common.testing.world import World
from libs.messaging.events.identity import UserChanged, UserRemoved, UserStatus
from services.identity.service import service
from tests.services.identity.conftest import Office


async def test_the_people_of_the_pool_are_known_soon_after_the_start(office: Office) -> None:
    users = await office.users()
    assert {email: (user["role"], user["status"]) for email, user in users.items()} == {
        "admin@example.com": ("ADMIN", "active"),
        "operator@example.com": ("OPERATOR", "active"),
        "viewer@example.com": ("VIEWER", "active"),
    }
    assert users["admin@example.com"]["userId"] == office.in_pool("admin@example.com")["Username"]
    assert len(office.world.said(UserChanged)) == 3


async def test_a_list_has_pages_in_the_order_of_addresses_and_finds_by_address(office: Office) -> None:
    first = await office.asked("GET", "?limit=2")
    second = await office.asked("GET", f"?limit=2&cursor={first['cursor']}")
    found = [each["email"] for each in [*first["items"], *second["items"]]]
    assert found == ["admin@example.com", "operator@example.com", "viewer@example.com"]
    assert "cursor" not in second
    page = await office.asked("GET", "?email=Oper")
    assert [each["email"] for each in page["items"]] == ["operator@example.com"]


async def test_more_people_than_one_answer_of_cognito_holds(office: Office) -> None:
    for n in range(61):
        office.made_by_hand(f"p{n}@example.com", "VIEWER", confirmed=False)
    await office.reads_the_pool()
    users = await office.users()
    assert len(users) == 64
    assert users["p60@example.com"]["role"] == "VIEWER"


async def test_whom_the_console_makes_changes_and_removes_is_followed(office: Office) -> None:
    office.made_by_hand("Cleo@example.com", confirmed=False)
    await office.reads_the_pool()
    cleo = (await office.users())["cleo@example.com"]
    assert (cleo["status"], cleo.get("role")) == ("invited", None)
    office.boto.admin_add_user_to_group(UserPoolId=office.pool, Username=cleo["userId"], GroupName="OPERATOR")
    office.boto.admin_disable_user(UserPoolId=office.pool, Username=cleo["userId"])
    await office.reads_the_pool()
    cleo = (await office.users())["cleo@example.com"]
    assert (cleo["status"], cleo["role"]) == ("disabled", "OPERATOR")
    said = office.world.said(UserChanged)[-1]
    assert (said.role_before, said.status_before, said.status) == (None, UserStatus.INVITED, UserStatus.DISABLED)
    office.boto.admin_delete_user(UserPoolId=office.pool, Username=cleo["userId"])
    await office.reads_the_pool()
    assert "cleo@example.com" not in await office.users()
    assert [each.email for each in office.world.said(UserRemoved)] == ["cleo@example.com"]


async def test_a_reading_without_news_says_nothing(office: Office) -> None:
    before = len(office.world.bus.heard)
    await office.reads_the_pool()
    await office.reads_the_pool()
    assert len(office.world.bus.heard) == before


async def test_who_asks_is_told_who_they_are_and_the_login_is_noted_once(office: Office) -> None:
    me = await office.asked("GET", "/me", as_="VIEWER")
    assert (me["email"], me["role"], me["status"]) == ("viewer@example.com", "VIEWER", "active")
    viewer = await office.id_of("VIEWER")
    assert (await office.asked("GET", f"/{viewer}"))["lastLoginAt"] == me["lastLoginAt"]
    office.world.clock.advance(60)
    assert await office.asked("GET", "/me", as_="VIEWER") == me
    # The row was written once, whoever asks how often.
    assert (await office.world.row("identity", service.owns[0], viewer)).version == 2


async def test_somebody_new_is_told_their_role_and_is_read_soon(office: Office) -> None:
    office.made_by_hand("new@example.com", "OPERATOR")
    token = office.boto.initiate_auth(
        ClientId=office.config["WECARE_COGNITO_CLIENT_ID"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "new@example.com", "PASSWORD": "Made-By-Hand-1"},
    )["AuthenticationResult"]["AccessToken"]
    client = office.client(token)
    me = (await client.get("/api/users/me")).json()
    assert (me["role"], "email" in me, "lastLoginAt" in me) == ("OPERATOR", False, True)
    await office.world.tick("identity", "sync")
    assert (await client.get("/api/users/me")).json()["email"] == "new@example.com"


@pytest.mark.parametrize("role", ["VIEWER", "OPERATOR"])
async def test_only_administrators_see_and_change_people(office: Office, role: str) -> None:
    for method, path in (
        ("GET", ""),
        ("GET", "/x"),
        ("GET", "/invitations"),
        ("POST", ""),
        ("PUT", "/x"),
        ("DELETE", "/x"),
    ):
        assert (await office.asked(method, path, expect=403, as_=role))["code"] == "FORBIDDEN"


async def test_a_pool_that_cannot_be_read_changes_nothing_and_is_read_again_soon(office: Office) -> None:
    office.made_by_hand("new@example.com", "VIEWER")
    office.fails(Rule("error", operation="ListUsersInGroup", status=400, code="TooManyRequestsException"))
    await office.reads_the_pool()
    assert len(await office.users()) == 3
    office.fails()
    office.world.clock.advance(21)
    await office.world.tick("identity", "sync")
    assert len(await office.users()) == 4


async def test_where_nobody_can_sign_in_there_is_nothing_to_read() -> None:
    async with World([service], settings=Settings(stage="test")) as world:
        assert await world.tick("identity") == 0


def test_it_may_touch_the_stages_own_pool_and_no_other() -> None:
    grants = [each for each in topology([service], "p").grants if each.actions[0].startswith("cognito-idp:")]
    assert [each.resources for each in grants] == [("user-pool:p",)]
