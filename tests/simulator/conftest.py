"""A simulator on a free port, a fake SNS behind it, and real clients in front of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
import pytest_asyncio
from aiobotocore.config import AioConfig
from aiohttp import web
from botocore.config import Config
from pytest_asyncio import is_async_test

from libs.simulator import demo
from libs.simulator.app import Simulator
from libs.simulator.aws import session
from libs.simulator.core import Settings
from tests.simulator.fake_sns import FakeSns

CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
SESSION = boto3.Session()
HERE = Path(__file__).parent
fixture = partial(pytest_asyncio.fixture, loop_scope="session")
ONCE = {"total_max_attempts": 1, "mode": "standard"}


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for the folder: servers and clients are started once, and every test finds them reset."""
    for item in items:
        if item.path.is_relative_to(HERE) and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@fixture(scope="session")
async def the_sns() -> AsyncIterator[FakeSns]:
    async with FakeSns() as fake:
        yield fake


@fixture(scope="session")
async def the_simulator(the_sns: FakeSns) -> AsyncIterator[Simulator]:
    settings = Settings(seed="tests", sns_endpoint=the_sns.url, grace_s=0, tick_s=0.001, check_responses=True)
    async with Simulator(settings) as made:
        yield made


@fixture(scope="session")
async def clients(the_simulator: Simulator) -> AsyncIterator[dict[str, Any]]:
    """One client per service; the first answer comes from the client, never from a second try."""
    config = AioConfig(retries=ONCE, read_timeout=20, connect_timeout=20)
    async with AsyncExitStack() as stack:
        found = {}
        for service in the_simulator.services:
            context = session().create_client(
                service, region_name=demo.REGION, endpoint_url=the_simulator.url, config=config, **CREDENTIALS
            )
            found[service] = await stack.enter_async_context(context)
        yield found


@fixture
async def simulator(the_simulator: Simulator, the_sns: FakeSns) -> AsyncIterator[Simulator]:
    """As freshly started, and quick."""
    the_simulator.reset(everything=True)
    the_sns.forget()
    the_simulator.core.behaviour.delay_ms = [1.0, 2.0]
    yield the_simulator
    # What is on its way must not arrive in the next test.
    the_simulator.core.emitter.clear()
    await the_simulator.core.publisher.drain(5)


@fixture
async def sns(simulator: Simulator, the_sns: FakeSns) -> FakeSns:
    return the_sns


class Control:
    """The control API as a client sees it: `await control.post("/faults", fault=...)` -> (status, JSON)."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url + "/control"
        self.session = session

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.session.request(method, self.url + path, json=body) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> Any:
        status, body = await self.call("GET", path)
        assert status == 200, body
        return body

    async def post(self, path: str, /, **body: Any) -> Any:
        status, answer = await self.call("POST", path, body)
        assert status == 200, answer
        return answer

    async def behave(self, **changes: Any) -> Any:
        status, answer = await self.call("PATCH", "/behaviour", changes)
        assert status == 200, answer
        return answer


@fixture
async def control(simulator: Simulator) -> AsyncIterator[Control]:
    async with aiohttp.ClientSession() as session:
        yield Control(simulator.url, session)


TOPIC = "arn:aws:sns:us-east-1:111122223333:whatsapp-events"


@fixture
async def bucket(simulator: Simulator) -> AsyncIterator[dict[str, tuple[str, bytes]]]:
    """A stand-in for S3: path-style GET and PUT of objects."""
    objects: dict[str, tuple[str, bytes]] = {}

    async def handle(request: web.Request) -> web.Response:
        if request.method == "PUT":
            objects[request.path] = (request.content_type, await request.read())
            return web.Response()
        if request.path not in objects:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>", content_type="text/xml")
        kind, data = objects[request.path]
        return web.Response(body=data, headers={"Content-Type": kind})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    object.__setattr__(simulator.core.settings, "s3_endpoint", f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield objects
    await simulator.whatsapp.media.close()
    await runner.cleanup()


@fixture
async def whatsapp_client(simulator: Simulator, clients: dict[str, Any]) -> Any:
    """socialmessaging, with events going to TOPIC."""
    client = clients["socialmessaging"]
    await client.put_whatsapp_business_account_event_destinations(
        id=demo.WABA_ID, eventDestinations=[{"eventDestinationArn": TOPIC}]
    )
    return client


def blocking_client(service: str, url: str, **config: Any) -> Any:
    """A boto3 client, for what has to run in a thread (the simulator lives in this one)."""
    config.setdefault("retries", ONCE)
    return SESSION.client(
        service, region_name=demo.REGION, endpoint_url=url, config=Config(read_timeout=20, **config), **CREDENTIALS
    )


async def in_thread(call: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(call)


def text_body(to: str = demo.CUSTOMER, body: str = "hello", ours: str | None = None) -> bytes:
    message: dict[str, Any] = {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": body}}
    return json.dumps(message | ({"biz_opaque_callback_data": ours} if ours else {})).encode()


def template_body(
    name: str, *components: dict[str, Any], to: str = demo.CUSTOMER, ours: str | None = None, language: str = "en_US"
) -> bytes:
    message: dict[str, Any] = {
        "messaging_product": "whatsapp", "to": to, "type": "template",
        "template": {"name": name, "language": {"code": language}, "components": list(components)},
    }  # fmt: skip
    return json.dumps(message | ({"biz_opaque_callback_data": ours} if ours else {})).encode()


def body_parameters(*texts: str) -> dict[str, Any]:
    return {"type": "body", "parameters": [{"type": "text", "text": t} for t in texts]}


async def send(client: Any, message: bytes, number: str = demo.PHONE_NUMBER_ID) -> str:
    """Send a WhatsApp message; returns the messageId."""
    answer = await client.send_whatsapp_message(
        originationPhoneNumberId=number, message=message, metaApiVersion="v23.0"
    )
    return str(answer["messageId"])


def order_update(to: str = demo.CUSTOMER, ours: str | None = None) -> bytes:
    """A message that needs no open window."""
    return template_body(demo.TEMPLATE_ORDER_UPDATE, body_parameters("Alex", "1001"), to=to, ours=ours)


SMS_TOPIC = "arn:aws:sns:us-east-1:111122223333:sms-events"
SMS_INBOUND = "arn:aws:sns:us-east-1:111122223333:sms-inbound"
RCS_INBOUND = "arn:aws:sns:us-east-1:111122223333:rcs-inbound"


@fixture
async def sms_client(simulator: Simulator, clients: dict[str, Any]) -> Any:
    """pinpoint-sms-voice-v2 with the configuration set `messaging-events` and two-way topics."""
    client = clients["pinpoint-sms-voice-v2"]
    await client.create_configuration_set(ConfigurationSetName="messaging-events")
    await client.create_event_destination(
        ConfigurationSetName="messaging-events",
        EventDestinationName="sns",
        MatchingEventTypes=["TEXT_ALL", "MEDIA_ALL", "VOICE_ALL", "RCS_ALL"],
        SnsDestination={"TopicArn": SMS_TOPIC},
    )
    await client.update_phone_number(
        PhoneNumberId=demo.SMS_PHONE_NUMBER_ID, TwoWayEnabled=True, TwoWayChannelArn=SMS_INBOUND
    )
    await client.update_rcs_agent(RcsAgentId=demo.RCS_AGENT_ID, TwoWayEnabled=True, TwoWayChannelArn=RCS_INBOUND)
    return client


EMAIL_TOPIC = "arn:aws:sns:us-east-1:111122223333:email-events"
EMAIL_INBOUND = "arn:aws:sns:us-east-1:111122223333:email-inbound"


@fixture
async def ses_client(simulator: Simulator, clients: dict[str, Any]) -> Any:
    """sesv2 with the configuration set `messaging-email`, all events of which go to EMAIL_TOPIC."""
    client = clients["sesv2"]
    await client.create_configuration_set(ConfigurationSetName="messaging-email")
    every = [
        "SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY", "OPEN", "CLICK", "RENDERING_FAILURE",
        "DELIVERY_DELAY", "SUBSCRIPTION",
    ]  # fmt: skip
    await client.create_configuration_set_event_destination(
        ConfigurationSetName="messaging-email",
        EventDestinationName="sns",
        EventDestination={
            "Enabled": True,
            "MatchingEventTypes": every,
            "SnsDestination": {"TopicArn": EMAIL_TOPIC},
        },
    )
    return client
