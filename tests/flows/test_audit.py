"""Who did what, on a whole platform: one entry each, linked within seconds, and the chain verified."""

from __future__ import annotations

from typing import Any

from deploy.smoke.client import Http, until
from deploy.smoke.platform import Platform


def test_a_mutation_and_a_role_breach_are_on_record_once_each_and_linked(on: Platform, phone: str) -> None:
    body = {"name": "Ann Example", "phone": phone}
    made = [on.operator.call("POST", "/api/contacts", body, expect=201, key=f"audit {phone}") for _ in range(3)]
    contact = made[0]["contactId"]
    on.viewer.call("DELETE", f"/api/contacts/{contact}", expect=403)
    with Http(on.stack.api_url, on.stack.token("ADMIN")) as admin:

        def linked() -> Any:
            found = admin.get("/api/audit", resource=contact)["items"]
            return found if len(found) == 2 and all(entry.get("hash") for entry in found) else None

        refused, created = until("two linked entries", linked)
        assert (created["action"], created["role"], created["kind"]) == (
            "contacts.create_contact",
            "OPERATOR",
            "request",
        )
        assert (refused["action"], refused["role"], refused["kind"]) == ("contacts.delete_contact", "VIEWER", "refusal")
        reported = admin.get("/api/audit/verify")
        while reported["ok"] and reported.get("cursor"):
            reported = admin.get("/api/audit/verify", cursor=reported["cursor"])
        assert reported["ok"], reported
