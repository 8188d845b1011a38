"""Meta's own API as the simulator speaks it: the samples' shapes, the shared ledger, and the signed webhook."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from libs.simulator import demo
from libs.simulator.app import Simulator
from tests.simulator.conftest import Control

TOKEN = {"Authorization": "Bearer any"}
TEXT = {
    "messaging_product": "whatsapp", "to": "+12025550143", "type": "text", "text": {"body": "Hello"},
    "biz_opaque_callback_data": "m-1",
}  # fmt: skip


async def post(simulator: Simulator, path: str, **more: Any) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession(headers=more.pop("headers", TOKEN)) as session,
        session.post(f"{simulator.url}/v23.0/{path}", **more) as answer,
    ):
        return answer.status, await answer.json()


async def test_an_acceptance_has_metas_shape_and_is_in_the_ledger_by_its_wamid(simulator: Simulator) -> None:
    status, said = await post(simulator, f"{demo.META_PHONE_NUMBER_ID}/messages", json=TEXT)
    (entry,) = simulator.core.ledger.by_id["m-1"]
    assert (status, said["messaging_product"]) == (200, "whatsapp")
    assert said["messages"] == [{"id": entry.provider_id}]
    assert said["contacts"] == [{"input": "+12025550143", "wa_id": "12025550143"}]
    assert (entry.service, entry.operation, entry.provider_id) == ("graph", "messages", entry.wamid)


@pytest.mark.parametrize(
    ("path", "change", "headers", "status", "code"),
    [
        (demo.META_PHONE_NUMBER_ID, {}, {}, 401, 190),
        ("999", {}, TOKEN, 400, 100),
        (demo.PHONE_NUMBER_ID, {}, TOKEN, 400, 100),
        (demo.META_PHONE_NUMBER_ID, {"text": {}}, TOKEN, 400, 131008),
        (demo.META_PHONE_NUMBER_ID, {"to": "+12025550186"}, TOKEN, 400, 131056),
        (demo.META_PHONE_NUMBER_ID, {"to": "+12025550195"}, TOKEN, 429, 130429),
    ],
)
async def test_a_refusal_has_metas_shape_and_nothing_is_accepted(
    simulator: Simulator, path: str, change: dict[str, Any], headers: dict[str, str], status: int, code: int
) -> None:
    simulator.core.behaviour.always_open_window = True
    found, said = await post(simulator, f"{path}/messages", json={**TEXT, **change}, headers=headers)
    assert (found, said["error"]["code"]) == (status, code)
    assert {"message", "type", "code", "fbtrace_id"} <= set(said["error"])
    assert simulator.core.ledger.entries == []


async def test_a_file_goes_in_and_comes_out_with_the_token_only(simulator: Simulator) -> None:
    form = aiohttp.FormData({"messaging_product": "whatsapp", "type": "image/png"})
    form.add_field("file", b"\x89PNG", filename="a.png", content_type="image/png")
    status, said = await post(simulator, f"{demo.META_PHONE_NUMBER_ID}/media", data=form)
    assert status == 200
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{simulator.url}/v23.0/{said['id']}", headers=TOKEN) as answer:
            reported = await answer.json()
        assert reported["sha256"] == hashlib.sha256(b"\x89PNG").hexdigest()
        assert (reported["file_size"], reported["mime_type"], reported["id"]) == (4, "image/png", said["id"])
        async with session.get(reported["url"], headers=TOKEN) as answer:
            assert await answer.read() == b"\x89PNG"
        async with session.get(reported["url"]) as answer:
            assert answer.status == 401


@asynccontextmanager
async def listener(refuse: int) -> AsyncIterator[tuple[str, list[tuple[str, bytes]], asyncio.Event]]:
    """A webhook that refuses the first calls; what it took, and when it took three."""
    taken: list[tuple[str, bytes]] = []
    calls, enough = 0, asyncio.Event()

    async def hear(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        if calls <= refuse:
            return web.Response(status=503)
        taken.append((request.headers["X-Hub-Signature-256"], await request.read()))
        if len(taken) >= 3:
            enough.set()
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/webhooks/meta", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/meta", taken, enough
    await runner.cleanup()


async def test_its_events_are_signed_and_come_again_until_they_are_taken(
    simulator: Simulator, control: Control
) -> None:
    simulator.core.behaviour.always_open_window = True
    async with listener(refuse=2) as (url, taken, enough):
        async with aiohttp.ClientSession() as session:
            await session.put(f"{simulator.url}/control/meta/webhook", json={"url": url, "secret": "synthetic"})
        await post(simulator, f"{demo.META_PHONE_NUMBER_ID}/messages", json=TEXT)
        await asyncio.wait_for(enough.wait(), 10)
    for signature, body in taken:
        assert signature == "sha256=" + hmac.new(b"synthetic", body, hashlib.sha256).hexdigest()
    entries = [json.loads(body)["entry"][0]["changes"][0]["value"]["statuses"][0] for _, body in taken]
    assert {entry["status"] for entry in entries} == {"sent", "delivered", "read"}
    assert {entry["biz_opaque_callback_data"] for entry in entries} == {"m-1"}
    async with aiohttp.ClientSession() as session:
        await session.put(f"{simulator.url}/control/meta/webhook", json={})
    assert {waba.webhook for waba in simulator.whatsapp.account.wabas.values()} == {None}
