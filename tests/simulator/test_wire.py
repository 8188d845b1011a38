"""The wire formats of errors, as recorded."""

from __future__ import annotations

import base64
import json
from typing import Any

import aiohttp
import pytest

from libs.simulator import demo
from libs.simulator.app import Simulator
from tests.simulator.conftest import Control, order_update
from tests.simulator.test_sesv2 import message
from tests.simulator.test_sms_voice import text
from tests.simulator.test_whatsapp_sends import SAMPLES, sample

ERRORS = sorted(p.name for p in SAMPLES.glob("*.error.*.json"))


async def send_raw(session: aiohttp.ClientSession, url: str, service: str) -> aiohttp.ClientResponse:
    """A send without any SDK."""
    if service == "socialmessaging":
        blob = base64.b64encode(order_update()).decode()
        body = {"originationPhoneNumberId": demo.PHONE_NUMBER_ID, "message": blob, "metaApiVersion": "v23.0"}
        return await session.post(url + "/v1/whatsapp/send", json=body)
    if service == "sesv2":
        return await session.post(url + "/v2/email/outbound-emails", json=message(ConfigurationSetName=None))
    headers = {"X-Amz-Target": "PinpointSMSVoiceV2.SendTextMessage", "Content-Type": "application/x-amz-json-1.0"}
    return await session.post(url, data=json.dumps(text(ConfigurationSetName=None)), headers=headers)


@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_looks_as_recorded(name: str, simulator: Simulator, control: Control) -> None:
    recorded: dict[str, Any] = sample(name)
    service, _, code = name.split(".")[:3]
    await control.post(
        "/faults",
        fault="error",
        code=code,
        message=recorded["body"].get("message") or recorded["body"].get("Message"),
        reason=recorded["body"].get("Reason"),
    )
    async with aiohttp.ClientSession() as session:
        answer = await send_raw(session, simulator.url, service)
        body = await answer.json(content_type=None)
    assert answer.status == recorded["httpStatus"]
    for header, value in recorded["headers"].items():
        assert answer.headers.get(header) == value or header == "x-amzn-RequestId"
    assert answer.headers["x-amzn-RequestId"]
    # What names a resource cannot come from a rule; the rest is the same.
    ignored = {"ResourceType", "ResourceId", "Fields", "RequestId"}
    assert {k: v for k, v in body.items() if k not in ignored} == {
        k: v for k, v in recorded["body"].items() if k not in ignored
    }


async def test_the_opted_out_conflict_looks_as_recorded(simulator: Simulator, control: Control) -> None:
    await control.post("/inbound/sms", **{"from": demo.CUSTOMER, "text": "STOP"})
    async with aiohttp.ClientSession() as session:
        answer = await send_raw(session, simulator.url, "pinpoint-sms-voice-v2")
        assert (
            await answer.json(content_type=None) == sample("sms-voice.error.ConflictException.opted-out.json")["body"]
        )


async def test_members_that_no_client_library_would_send_are_refused(simulator: Simulator) -> None:
    deep = b"[" * 100_000
    async with aiohttp.ClientSession() as session:
        for data, code in ((deep, "SerializationException"), (b"\xff\xfe", "SerializationException"),
                           (b"[]", "SerializationException"), (b'{"message": 1}', "ValidationException")):  # fmt: skip
            async with session.post(simulator.url + "/v1/whatsapp/send", data=data) as answer:
                assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (400, code)
