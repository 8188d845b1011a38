"""Requests and refusals of End User Messaging SMS and Voice, by the service's own model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from botocore.model import Shape
from botocore.validate import ParamValidator

from libs.common.aws.clients import Aws
from libs.messaging.channels import Channel
from libs.messaging.errors import ErrorCode
from libs.messaging.providers.sms_voice import EVENTS, VOICES
from libs.messaging.settings import Identity
from libs.messaging.vocabulary import MessageClass
from services.outbound.channels.sms.channel import Sms
from services.outbound.channels.sms.service import LIMITS
from services.outbound.contract import Account, NotSent, Outcome, Rejected, Unknown
from services.outbound.sending.outcomes import Refused
from services.outbound.sending.sms_voice import verdict
from tests.channels.senders import channel_of, outgoing
from tests.channels.test_cases import CASES

MODEL = botocore.session.get_session().get_service_model("pinpoint-sms-voice-v2")
ERRORS = {
    path.stem.removeprefix("sms-voice.error."): json.loads(path.read_text())
    for path in sorted(Path("tests/simulator/samples").glob("sms-voice.error.*.json"))
}
GOOD = [
    pytest.param(*case.values, id=case.id)
    for case in CASES
    if case.values[0] in ("sms", "voice", "rcs") and "expect" in case.values[1]
]


def operation_of(request: dict[str, Any]) -> str:
    if "RcsMessageContent" in request:
        return "SendRcsMessage"
    if "VoiceId" in request:
        return "SendVoiceMessage"
    return "SendMediaMessage" if "MediaUrls" in request else "SendTextMessage"


def wrong(shape: Shape, value: Any, where: str) -> list[str]:
    """What boto3 does not look at: enums, patterns, lengths and ranges."""
    found: list[str] = []
    if shape.type_name == "structure":
        for name, each in value.items():
            found += wrong(shape.members[name], each, f"{where}.{name}")
    elif shape.type_name == "list":
        found += [w for each in value for w in wrong(shape.member, each, f"{where}[]")]
    size = value if shape.type_name in ("integer", "double") else len(value) if hasattr(value, "__len__") else None
    rules = shape.metadata
    if size is not None and not rules.get("min", size) <= size <= rules.get("max", size):
        found.append(f"{where}: {size} is not from {rules.get('min')} to {rules.get('max')}")
    if shape.type_name == "string" and rules.get("enum") and value not in rules["enum"]:
        found.append(f"{where}: {value} is not one of the enum")
    if shape.type_name == "string" and rules.get("pattern") and re.fullmatch(rules["pattern"], value) is None:
        found.append(f"{where}: {value!r} does not match {rules['pattern']}")
    return found


@pytest.mark.parametrize(("name", "case"), GOOD)
def test_a_request_is_one_that_the_service_takes(name: str, case: dict[str, Any]) -> None:
    account = Account(case.get("sender", "sender-1"), case.get("options", {}))
    request = channel_of(name).render(outgoing(case["message"]), account)
    operation = operation_of(request)
    shape = MODEL.operation_model(operation).input_shape
    assert not ParamValidator().validate(request, shape).has_errors()
    assert wrong(shape, request, operation) == []


def test_what_boto3_does_not_look_at_is_seen() -> None:
    shape = MODEL.operation_model("SendTextMessage").input_shape
    bad = {"DestinationPhoneNumber": "call me", "TimeToLive": 1, "MessageType": "SPAM", "MessageBody": "a" * 1601}
    assert len(wrong(shape, bad, "")) == 4


def test_every_voice_and_every_type_of_event_of_the_model_is_known() -> None:
    assert set(MODEL.shape_for("VoiceId").enum) == VOICES
    groups = {"ALL", "TEXT_ALL", "MEDIA_ALL", "VOICE_ALL", "RCS_ALL"}
    assert set(MODEL.shape_for("EventType").enum) - groups - set(EVENTS) == set()


@pytest.mark.parametrize(
    ("exception", "reason", "code"),
    [
        ("ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT", "opted_out"),
        ("ConflictException", "DESTINATION_PHONE_NUMBER_NOT_VERIFIED", "misconfigured"),
        ("ConflictException", "NO_ORIGINATION_IDENTITIES_FOUND", "misconfigured"),
        ("ConflictException", "MESSAGE_TYPE_MISMATCH", "misconfigured"),
        ("ConflictException", "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION", "blocked"),
        ("ConflictException", "REASON_OF_TOMORROW", "unknown"),
        ("ServiceQuotaExceededException", "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", "billing"),
        ("ServiceQuotaExceededException", "DAILY_DESTINATION_CALL_LIMIT", "frequency_capped"),
        ("ServiceQuotaExceededException", "LIMIT_OF_TOMORROW", "misconfigured"),
        ("ValidationException", "DESTINATION_COUNTRY_BLOCKED", "blocked"),
        ("ValidationException", "PRICE_OVER_THRESHOLD", "billing"),
        ("ValidationException", "MEDIA_TYPE_NOT_SUPPORTED", "media_failed"),
        ("ValidationException", "SENDER_ID_NOT_SUPPORTED", "misconfigured"),
        ("ValidationException", "OTHER", "invalid_content"),
        ("AccessDeniedException", "ACCOUNT_DISABLED", "misconfigured"),
        ("ResourceNotFoundException", "", "misconfigured"),
    ],
)
def test_a_refusal_is_read_by_its_reason(exception: str, reason: str, code: str) -> None:
    found = verdict(Refused(400, exception, "No", reason))
    assert isinstance(found, Rejected)
    assert (found.code, found.provider_code) == (code, reason or exception)


def test_what_is_wrong_with_the_number_is_the_recipients() -> None:
    found = verdict(Refused(400, "ValidationException", "No", "FIELD_VALIDATION_FAILED", ("DestinationPhoneNumber",)))
    assert found.code is ErrorCode.INVALID_RECIPIENT


async def outcome_of(sample: dict[str, Any]) -> Outcome:
    """Of a text that is answered so."""

    async def answer(request: web.Request) -> web.Response:
        headers = {name: text for name, text in sample["headers"].items() if name != "Content-Type"}
        body = json.dumps(sample["body"]).encode()
        kind = "application/x-amz-json-1.0"
        return web.Response(status=sample["httpStatus"], body=body, content_type=kind, headers=headers)

    app = web.Application()
    app.router.add_post("/", answer)
    keys = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    channel = Sms()
    hello = outgoing({"to": "+12025550143", "content": {"kind": "text", "body": "Hello"}})
    request = channel.render(hello, Account("+12025550100"))
    async with TestServer(app) as server, Aws(environment={**keys, "AWS_ENDPOINT_URL": _url(server)}) as aws:
        return await channel.send(request, await aws.client(channel.provider, attempts=1))


def _url(server: TestServer) -> str:
    return str(server.make_url("")).rstrip("/")


@pytest.mark.parametrize("name", ERRORS)
async def test_each_recorded_error_becomes_its_outcome_over_the_wire(name: str) -> None:
    """Through the real client: the members that decide are those that it hands on."""
    outcome = await outcome_of(ERRORS[name])
    expected = {
        "AccessDeniedException": (Rejected, "misconfigured"),
        "ConflictException.opted-out": (Rejected, "opted_out"),
        "InternalServerException": (Unknown, None),
        "ResourceNotFoundException": (Rejected, "misconfigured"),
        "ServiceQuotaExceededException.spend": (Rejected, "billing"),
        "ThrottlingException": (NotSent, "throttled"),
        "ValidationException": (Rejected, "blocked"),
    }
    assert (type(outcome), getattr(outcome, "code", None)) == expected[name]


@pytest.mark.parametrize(
    ("kind", "own", "rate"),
    [
        ("SHORT_CODE", None, 100),
        ("TOLL_FREE", None, 3),
        ("LONG_CODE", None, 10),
        ("TEN_DLC", None, 1),
        ("TEN_DLC", 75, 75),
        ("KIND_OF_TOMORROW", None, 1),
    ],
)
def test_a_number_has_the_rate_of_its_kind_unless_the_settings_say_more(
    kind: str, own: float | None, rate: float
) -> None:
    assert LIMITS.of(Identity(id="+12025550100", kind=kind, per_second=own)).per_second == rate


@pytest.mark.parametrize(
    ("content", "units"),
    [
        ({"kind": "text", "body": "a" * 160}, 1),
        ({"kind": "text", "body": "a" * 161}, 2),
        ({"kind": "text", "body": "я" * 135}, 3),
        ({"kind": "media", "mediaType": "image", "file": {"url": "s3://example-media-bucket/photo.jpg"}}, 3),
    ],
)
def test_the_rate_counts_parts(content: dict[str, Any], units: int) -> None:
    sms = Sms()
    request = sms.render(outgoing({"to": "+12025550143", "content": content}), Account("+12025550100"))
    assert sms.units(request) == units


@pytest.mark.parametrize("message_class", list(MessageClass))
def test_a_call_that_may_have_been_made_is_never_made_again(message_class: MessageClass) -> None:
    assert Channel.VOICE.traits.policies[message_class].resends == 0
