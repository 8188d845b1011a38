"""Who may do what, by real tokens of the (emulated) user pool."""

from __future__ import annotations

import pytest

from deploy.smoke.client import Http
from deploy.smoke.platform import TEMPLATE, Platform


def test_a_viewer_reads_and_does_not_send(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    assert on.viewer.get(f"/api/contacts/{contact}")["contactId"] == contact
    body = {"contactId": contact, "channel": "whatsapp", "content": TEMPLATE}
    assert on.viewer.call("POST", "/api/messages", body, expect=403)["code"] == "FORBIDDEN"


@pytest.mark.parametrize("kind", ["none", "forged", "id"])
def test_who_cannot_prove_who_he_is_gets_401(on: Platform, kind: str) -> None:
    good = on.stack.token("ADMIN")
    head, claims, signature = good.split(".")
    token = {"none": None, "forged": f"{head}.{claims[::-1]}.{signature}", "id": on.stack.id_token("ADMIN")}[kind]
    with Http(on.stack.api_url, token) as stranger:
        assert stranger.call("GET", "/api/messages", expect=401)["code"] == "UNAUTHORIZED"
