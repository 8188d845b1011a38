"""Meta's own webhook at the running platform: signed with the secret that only it and Meta know, or not at all."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

import httpx

from deploy.smoke.client import until
from deploy.smoke.platform import Platform


def secret(on: Platform, name: str) -> str:
    found = on.stack.client("secretsmanager").get_secret_value(SecretId=f"wecare-local/inbound/{name}")
    return str(found["SecretString"])


def message(phone: str, text: str) -> bytes:
    digits = phone.removeprefix("+")
    value: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "12025550100", "phone_number_id": "200000000000001"},
        "contacts": [{"profile": {"name": "Ann Example"}, "wa_id": digits}],
        "messages": [{"from": digits, "id": f"wamid.{digits}", "timestamp": str(int(time.time())), "type": "text",
                      "text": {"body": text}}],
    }  # fmt: skip
    entry = {"id": "100000000000001", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def post(on: Platform, body: bytes, key: str) -> int:
    mac = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={mac}", "Content-Type": "application/json"}
    return httpx.post(f"{on.stack.api_url}/webhooks/meta", content=body, headers=headers, trust_env=False).status_code


def test_what_meta_signs_is_heard_once_and_what_it_does_not_is_refused(on: Platform, phone: str) -> None:
    key, body = secret(on, "meta-app-secret"), message(phone, "Hello from Meta")
    assert post(on, body, "not the secret") == 403
    assert [post(on, body, key) for _ in range(3)] == [200] * 3

    def contact() -> Any:
        return on.operator.get("/api/contacts/search", q=phone)["items"]

    (found,) = until("the contact", contact)
    (received,) = until("the message", lambda: on.inbound_of(found["contactId"]))
    assert received["content"]["body"] == "Hello from Meta"


def test_meta_is_greeted_when_it_knows_the_token(on: Platform) -> None:
    asked = {
        "hub.mode": "subscribe",
        "hub.challenge": "1158201444",
        "hub.verify_token": secret(on, "meta-verify-token"),
    }
    url = f"{on.stack.api_url}/webhooks/meta"
    assert httpx.get(url, params=asked, trust_env=False).text == "1158201444"
    assert httpx.get(url, params={**asked, "hub.verify_token": "x"}, trust_env=False).status_code == 403
