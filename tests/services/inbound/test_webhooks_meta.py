"""Meta's entry point (battery S6, S7): who cannot sign is refused before anything is read, what is replayed has one effect, and one
thing that cannot be read takes no other along."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest

from libs.common.bus.memory import MemoryBus
from libs.common.declare.names import Names
from libs.common.testing.world import World
from libs.messaging.content import Text
from libs.messaging.events.inbound import AccountNoticed, MessageReceived
from services.inbound.channels.whatsapp.http import META_APP_SECRET, META_VERIFY_TOKEN, signed_by_meta
from tests.services.inbound.kit import META, SAMPLES


async def meta(world: World, body: bytes | None = None, signature: str | None = "", **headers: str) -> httpx.Response:
    """Post to Meta's entry point; the signature is right unless another (None: none) is given."""
    raw = META["rawBody"].encode() if body is None else body
    mac = "sha256=" + hmac.new(META["appSecret"].encode(), raw, hashlib.sha256).hexdigest()
    if signature is not None:
        headers["X-Hub-Signature-256"] = signature or mac
    given = [(name.encode(), value.encode()) for name, value in {"Content-Type": "application/json", **headers}.items()]
    answer = await world.http(None).post("/webhooks/meta", content=raw, headers=given)
    await world.settle()
    return answer


async def test_meta_is_greeted_with_what_it_asks(world: World) -> None:
    asked = META["verifyRequest"]
    answer = await world.http(None).get("/webhooks/meta", params=asked["query"])
    assert (answer.status_code, answer.text) == (asked["expectedStatus"], asked["expectedBody"])
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "change",
    [
        {"hub.verify_token": "another"},
        {"hub.verify_token": ""},
        {"hub.verify_token": "tökén"},
        {"hub.mode": "unsubscribe"},
        {"hub.challenge": "<script>"},
        {"hub.challenge": ""},
    ],
)
async def test_who_does_not_know_the_verify_token_is_not_greeted(world: World, change: dict[str, str]) -> None:
    answer = await world.http(None).get("/webhooks/meta", params={**META["verifyRequest"]["query"], **change})
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


async def test_metas_own_signature_opens_the_door(world: World) -> None:
    recorded = json.loads((SAMPLES / "meta.webhook.signature-fixture.json").read_text())
    assert (await meta(world, recorded["rawBody"].encode(), recorded["headerValue"])).status_code == 200
    assert [event.content for event in world.said(MessageReceived)] == [Text(body="Hi, where is my order?")]


async def test_what_meta_sends_again_is_one_message_and_the_one_of_the_feed(world: World) -> None:
    for _ in range(3):
        assert (await meta(world)).status_code == 200
    entry = json.dumps(json.loads(META["rawBody"])["entry"][0])
    await world.feed("whatsapp", {"whatsAppWebhookEntry": entry, "messageId": "x"})
    assert len(world.said(MessageReceived)) == 1


@pytest.mark.parametrize(
    "signature",
    [None, "sha256=" + "0" * 64, META["headerValue"].upper(), META["headerValue"][7:], "sha1=" + "0" * 40, "sha256=ü"],
)
async def test_a_forged_signature_is_refused(world: World, signature: str | None) -> None:
    answer = await meta(world, signature=signature)
    assert (answer.status_code, answer.json()["code"]) == (403, "SIGNATURE_INVALID")
    assert world.said(MessageReceived) == []


@pytest.mark.parametrize("body", [b"not json", b"[" * 100_000, b"\xff\xfe", b'{"a": 1, "a": 2}', b""])
async def test_an_unsigned_body_is_not_read_at_all(world: World, body: bytes) -> None:
    """A reader would find fault with it; the signature is looked at first."""
    answer = await meta(world, body, signature="sha256=" + "0" * 64)
    assert answer.json()["code"] == "SIGNATURE_INVALID"


@pytest.mark.parametrize("body", [b"not json", b"[" * 100_000, b"\xff\xfe", b'{"a": 1, "a": 2}', b""])
async def test_a_signed_body_that_is_no_json_is_refused_with_the_reason(world: World, body: bytes) -> None:
    answer = await meta(world, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_JSON")


@pytest.mark.parametrize(
    "whole", [{}, {"object": "page", "entry": []}, {"object": "whatsapp_business_account", "entry": 1}]
)
async def test_what_is_no_webhook_of_whatsapp_is_refused_and_named(world: World, whole: dict[str, Any]) -> None:
    answer = await meta(world, json.dumps(whole).encode())
    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_FAILED")
    assert "body." in answer.json()["detail"]


async def test_one_change_that_cannot_be_read_takes_no_other_along(world: World) -> None:
    whole = json.loads(META["rawBody"])
    bad = {"field": "messages", "value": {"messages": [{"id": 7}]}}
    whole["entry"] = [{"id": "1", "changes": [bad]}, {"id": "2", "changes": "x"}, *whole["entry"], {"id": "3"}]
    assert (await meta(world, json.dumps(whole).encode())).status_code == 200
    assert len(world.said(MessageReceived)) == 1
    (first, *_) = [notice.details for notice in world.said(AccountNoticed) if notice.kind == "unknown"]
    assert first["value"] == bad


async def test_a_body_of_three_megabytes_is_heard_and_a_larger_one_is_not(world: World) -> None:
    whole = json.loads(META["rawBody"])
    whole["entry"][0]["padding"] = "x" * 3_000_000
    assert (await meta(world, json.dumps(whole).encode())).status_code == 200
    assert (await meta(world, b"x" * 3_600_000)).status_code == 413


async def test_meta_comes_again_when_nothing_durable_was_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: Any) -> None:
        raise ConnectionError("the bus is down")

    with monkeypatch.context() as broken:
        broken.setattr(MemoryBus, "publish", down)
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(world.http(None)._transport.app, raise_app_exceptions=False),  # type: ignore[attr-defined]
            base_url="http://test",
        )
        answer = await client.post(
            "/webhooks/meta", content=META["rawBody"], headers={"X-Hub-Signature-256": META["headerValue"]}
        )
        assert answer.status_code == 500
    assert (await meta(world)).status_code == 200
    assert len(world.said(MessageReceived)) == 1


@pytest.mark.parametrize("secret", ["", "  "])
def test_with_an_empty_secret_nothing_is_signed(secret: str) -> None:
    """Anybody could sign with it."""
    header = "sha256=" + hmac.new(secret.encode(), b"{}", hashlib.sha256).hexdigest()
    assert not signed_by_meta(secret, b"{}", header)
    assert signed_by_meta("s", b"{}", "sha256=" + hmac.new(b"s", b"{}", hashlib.sha256).hexdigest())


@pytest.mark.parametrize("secret", ["", "  "])
async def test_where_metas_secrets_are_empty_nobody_is_let_in(world: World, secret: str) -> None:
    names = Names(world.settings.prefix)
    world.secrets.values |= {names.secret("inbound", each): secret for each in (META_APP_SECRET, META_VERIFY_TOKEN)}
    signed = "sha256=" + hmac.new(secret.encode(), META["rawBody"].encode(), hashlib.sha256).hexdigest()
    assert (await meta(world, signature=signed)).status_code == 403
    asked = {"hub.mode": "subscribe", "hub.verify_token": secret, "hub.challenge": "c1"}
    assert (await world.http(None).get("/webhooks/meta", params=asked)).status_code == 403
    assert world.said(MessageReceived) == []
