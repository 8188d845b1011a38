"""Fixtures of the public doors."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from aiohttp import web

from libs.common.aws.clients import Aws
from libs.common.settings import Settings
from libs.common.testing.world import World
from services.inbound import http
from services.inbound.service import service
from services.inbound.sns import Certificates
from tests.services.inbound.kit import META, THEN, TOPIC, Internet, Sns


@pytest.fixture
async def sns() -> AsyncIterator[Sns]:
    found, app = Sns(), web.Application()
    app.router.add_post("/", found.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    found = Internet()
    monkeypatch.setattr(http, "certificates", Certificates(httpx.MockTransport(found)))
    return found


@pytest.fixture
async def world(internet: Internet, sns: Sns) -> AsyncIterator[World]:
    keys = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    settings = Settings(stage="test", sns_webhook_topics={"whatsapp": (TOPIC,)})
    async with (
        Aws(environment={**keys, "AWS_ENDPOINT_URL": sns.url}) as aws,
        World([service], settings=settings, aws=aws) as running,
    ):
        running.clock.advance((THEN - running.clock.now()).total_seconds())
        running.secrets.values |= {
            "wecare-test/inbound/meta-app-secret": META["appSecret"],
            "wecare-test/inbound/meta-verify-token": META["verifyRequest"]["query"]["hub.verify_token"],
        }
        yield running
