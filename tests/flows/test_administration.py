"""People and settings on a whole platform: real tokens, real queues, and what a change does to those who were there before."""

from __future__ import annotations

from typing import Any

from deploy.smoke.client import Failed, Http, until
from deploy.smoke.platform import Platform


def _users(on: Platform) -> dict[str, Any]:
    with Http(on.stack.api_url, on.stack.token("ADMIN")) as admin:
        return {each["email"]: each for each in admin.get("/api/users")["items"]}


def test_the_demo_people_are_there_and_know_who_they_are(on: Platform) -> None:
    def look() -> Any:
        users = _users(on)
        return users if len(users) >= 3 else None

    users = until("the people of the pool", look)
    assert {users[f"{role.lower()}@example.com"]["role"] for role in ("VIEWER", "OPERATOR", "ADMIN")} == {
        "VIEWER",
        "OPERATOR",
        "ADMIN",
    }
    me = on.viewer.get("/api/users/me")
    assert (me["email"], me["role"]) == ("viewer@example.com", "VIEWER")
    assert me["lastLoginAt"]


def test_somebody_is_invited_gets_another_role_and_is_removed(on: Platform, phone: str) -> None:
    email = f"ann{phone[1:]}@example.com"

    def known(**facts: Any) -> Any:
        def look() -> Any:
            user = _users(on).get(email)
            fits = user is not None and all(user.get(name) == value for name, value in facts.items())
            return user if fits else None

        return until(f"{email} to be {facts}", look)

    with Http(on.stack.api_url, on.stack.token("ADMIN")) as admin:
        admin.call("POST", "/api/users", {"email": email, "role": "VIEWER"}, expect=202)
        user = known(role="VIEWER", status="invited")
        path = f"/api/users/{user['userId']}"
        admin.call("PUT", path, {"role": "OPERATOR"}, expect=202)
        known(role="OPERATOR", pending=None)
        pool = {"UserPoolId": on.stack.config["WECARE_COGNITO_USER_POOL_ID"], "Username": email}
        groups = on.stack.client("cognito-idp").admin_list_groups_for_user(**pool)["Groups"]
        assert [group["GroupName"] for group in groups] == ["OPERATOR"]
        admin.call("DELETE", path, expect=202)
        until(f"{email} to be gone", lambda: email not in _users(on))


def test_a_setting_is_in_force_without_a_restart(on: Platform, phone: str) -> None:
    word = f"basta {phone[-4:]}"
    path = "/api/settings/opt-out-words"
    with Http(on.stack.api_url, on.stack.token("ADMIN")) as admin:
        before = admin.get(path)
        words = [*before["value"], word]
        body = {"value": words, "version": before["version"]}
        assert on.viewer.call("PUT", path, body, expect=403)["code"] == "FORBIDDEN"
        assert admin.call("PUT", path, body)["value"] == words
        assert admin.call("PUT", path, body, expect=409)["current"]["value"] == words
    contact = on.contact(phone, "Ann Example")

    def obeyed() -> Any:
        on.writes_in(phone, word)
        try:
            return until("the word to be obeyed", lambda: _opted_out(on, contact), seconds=5)
        except Failed:
            return None

    assert until("the word to be an opt-out", obeyed)


def _opted_out(on: Platform, contact: str) -> Any:
    return on.operator.get(f"/api/contacts/{contact}")["consents"].get("whatsapp", {}).get("optedOutAt")
