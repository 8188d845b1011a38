"""One message in, one out and one bulk job by the sixth channel, through the services as they are declared.

The provider is a fake, a server in the test that takes every page, and so is S3.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from libs.common.declare.discover import discover
from libs.common.settings import read
from libs.common.testing.world import World
from libs.messaging.events.contacts import ContactWroteIn
from services.bulk.running import counts

SERVICES = ("contacts", "messages", "inbound", "outbound-pager", "bulk")
TEXT = {"kind": "text", "body": "Your table is ready now."}


class FakeProvider:
    """Takes every page and remembers it."""

    def __init__(self) -> None:
        self.pages: list[dict[str, Any]] = []

    async def take(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer token"
        self.pages.append(json.loads(await request.read()))
        return web.json_response({"id": f"pg-message-{len(self.pages)}"})


class Body:
    """What S3's ``get_object`` gives to read from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aenter__(self) -> Body:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def read(self) -> bytes:
        return self._data


class FakeAws:
    """S3 in memory, as far as a bulk job over contacts needs it; there is no other AWS."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    async def client(self, service: str, attempts: int = 4) -> FakeAws:
        assert service == "s3"
        return self

    async def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:
        self._objects[f"{Bucket}/{Key}"] = Body

    async def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": Body(self._objects[f"{Bucket}/{Key}"])}

    async def __aexit__(self, *error: object) -> None:
        pass


@asynccontextmanager
async def platform(provider: FakeProvider) -> AsyncIterator[World]:
    app = web.Application()
    app.router.add_post("/pages", provider.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    senders = {
        "pager": {
            "identities": [{"id": "desk-1"}],
            "parameters": {"url": f"http://127.0.0.1:{runner.addresses[0][1]}"},
        }
    }
    environment = {"WECARE_STAGE": "test", "WECARE_SEND_MODE": "LIVE", "WECARE_SENDERS": json.dumps(senders)}
    counts.LINGER_SECONDS = 0.002
    try:
        async with World(discover(SERVICES), settings=read(environment), aws=FakeAws()) as world:
            world.secrets.values["wecare-test/outbound-pager/pager-token"] = "token"
            yield world
    finally:
        await runner.cleanup()


async def writes(world: World, pager: str) -> str:
    """Somebody answers for the first time; returns the contact that they became."""
    answer = {"type": "answer", "id": f"answer-of-{pager}", "from": pager, "to": "desk-1", "text": "On my way"}
    await world.feed("pager", {**answer, "at": world.clock.now().isoformat()})
    return world.said(ContactWroteIn)[-1].contact_id


async def test_one_in_and_one_out() -> None:
    provider = FakeProvider()
    async with platform(provider) as world:
        api = world.http()
        contact = await writes(world, "pg-0001")
        body = {"contactId": contact, "channel": "pager", "content": TEXT, "messageClass": "transactional"}
        accepted = await api.post("/api/messages", json=body, headers={"Idempotency-Key": "k1"})
        assert accepted.status_code == 202, accepted.text
        message_id = accepted.json()["messageId"]
        await world.settle()
        wanted = {"from": "desk-1", "to": "pg-0001", "text": TEXT["body"], "reference": message_id}
        assert provider.pages == [wanted]
        report = {"type": "report", "id": "pg-message-1", "reference": message_id, "status": "shown"}
        await world.feed("pager", {**report, "at": world.clock.now().isoformat()})
        assert (await api.get(f"/api/messages/{message_id}")).json()["status"] == "delivered"
        assert world.letters() == []


async def test_one_bulk_job() -> None:
    provider = FakeProvider()
    async with platform(provider) as world:
        api = world.http()
        pagers = [f"pg-{n:04d}" for n in range(1, 21)]
        people = [await writes(world, pager) for pager in pagers]
        assert len(set(people)) == len(pagers)
        whole = {
            "name": "A job", "channel": "pager", "content": TEXT, "purpose": "service", "hold": True,
            "audience": {"contactIds": people},
        }  # fmt: skip
        made = await api.post("/api/bulk/jobs", json=whole)
        assert made.status_code == 202, made.text
        job = f"/api/bulk/jobs/{made.json()['jobId']}"
        await world.settle()
        planned = (await api.get(job)).json()
        assert (planned["state"], planned["counts"]["pending"]) == ("planned", len(pagers)), planned
        approved = await api.put(f"{job}/approve", json={"hash": planned["planHash"]})
        assert approved.status_code == 200, approved.text
        for _ in range(40):
            await world.advance(3)
            await world.tick("bulk")
            reported = (await api.get(job)).json()
            if reported["state"] == "finished":
                break
        assert (reported["state"], reported["counts"]["sent"]) == ("finished", len(pagers)), reported
        assert sorted(page["to"] for page in provider.pages) == pagers
        assert world.letters() == []
