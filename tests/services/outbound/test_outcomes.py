"""R8: fourteen faults and what each must be called, over real sockets. R7: one send is at most one acceptance.

Every channel in the folder sits this exam with the client that it is given in earnest (one attempt)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from botocore import exceptions as boto

from libs.common import aws as door
from libs.common.aws import Aws
from libs.messaging.errors import ErrorCode
from services.outbound.channel import Accepted, Account, NotSent, Outcome, Rejected, Unknown
from services.outbound.outcomes import Refused, classify
from services.outbound.whatsapp.codes import verdict
from tests.services.outbound.faults import fault_server, free_port, full_listener
from tests.services.outbound.test_cases import CHANNELS, FOLDER, channel_of, outgoing

#: What happens on the wire, and what it must be called. Provider's words are those of socialmessaging; every AWS service
#: answers 429 and 4xx alike.
TABLE: dict[str, type[Outcome]] = {
    "dns": NotSent,
    "refused": NotSent,
    "tls": NotSent,
    "connect_timeout": NotSent,
    "reset_before": Unknown,
    "reset_after": Unknown,
    "hang": Unknown,
    "half_body": Unknown,
    "bad_json": Unknown,
    "429 ThrottledRequestException": NotSent,
    "400 ValidationException": Rejected,
    "500 InternalServiceException": Unknown,
    "502 DependencyException": Unknown,
    "503 ": Unknown,
}
MORE: dict[str, type[Outcome]] = {
    "ok": Accepted,
    "no_id": Unknown,
    "403 AccessDeniedException": Rejected,
    "404 ResourceNotFoundException": Rejected,
    "403 ExpiredTokenException": NotSent,
    "408 RequestTimeout": Unknown,
    "301 Moved": Unknown,
}
EXAM = [pytest.param(name, fault, id=f"{name} {fault}") for name in CHANNELS for fault in {**TABLE, **MORE}]


@asynccontextmanager
async def place(fault: str) -> AsyncIterator[tuple[str, Any]]:
    """The address where the fault is met, and the server that counts (None where nobody listens)."""
    if fault == "dns":
        yield "http://nobody.invalid", None
    elif fault == "refused":
        yield f"http://127.0.0.1:{free_port()}", None
    elif fault == "connect_timeout":
        async with full_listener() as url:
            yield url, None
    else:
        async with fault_server("ok" if fault == "tls" else fault) as server:
            yield server.url.replace("http:", "https:") if fault == "tls" else server.url, server


def request_of(name: str) -> dict[str, Any]:
    """A good request of the channel: that of its first good case."""
    cases = [case for path in sorted((FOLDER / name / "cases").glob("*.json")) for case in json.loads(path.read_text())]
    good = next(case for case in cases if "expect" in case)
    account = Account(good.get("sender", "sender-1"), good.get("options", {}))
    return channel_of(name).render(outgoing(good["message"]), account)


async def send(name: str, url: str) -> Outcome:
    keys = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    async with Aws(environment={**keys, "AWS_ENDPOINT_URL": url}) as aws:
        channel = channel_of(name)
        return await channel.send(request_of(name), await aws.client(channel.provider, attempts=1))


@pytest.mark.parametrize(("name", "fault"), EXAM)
async def test_fault(name: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(door, "READ_SECONDS", 0.5)
    async with place(fault) as (url, server):
        outcome = await send(name, url)
        assert type(outcome) is {**TABLE, **MORE}[fault], outcome
        if server is not None:
            assert server.accepted <= 1, "one send, one request"
            if server.accepted:
                assert isinstance(outcome, Accepted | Unknown), "what was taken is never called refused or not sent"
        if fault.startswith("429"):
            assert outcome == NotSent("ThrottledRequestException: Simulated", 7.0, ErrorCode.THROTTLED,
                                      provider_code="ThrottledRequestException")  # fmt: skip


def test_the_table_has_fourteen_faults() -> None:
    assert len(TABLE) == 14


@pytest.mark.parametrize(
    ("message", "code", "outcome"),
    [
        ("(#131026) Message undeliverable", "InvalidParametersException", (Rejected, "undeliverable", "131026")),
        ("(#132001) No such template", "InvalidParametersException", (Rejected, "template_missing", "132001")),
        ("(#131056) Pair rate limit", "InvalidParametersException", (NotSent, "throttled", "131056")),
        ("(#250) Permission", "AccessDeniedByMetaException", (Rejected, "misconfigured", "250")),
        ("(#999999) New", "InvalidParametersException", (Rejected, "unknown", "999999")),
        (
            "Invalid destination phone number or message Id",
            "InvalidParametersException",
            (Rejected, "invalid_recipient", "InvalidParametersException"),
        ),
    ],
)
def test_whatsapp_codes(message: str, code: str, outcome: tuple[type, str, str]) -> None:
    found = verdict(Refused(400, code, message))
    assert (type(found), found.code, found.provider_code) == outcome
    if isinstance(found, NotSent):
        assert found.growth == 4


@pytest.mark.parametrize("error", [TimeoutError(), ValueError("?"), boto.HTTPClientError(error=OSError())])
def test_what_nobody_foresaw_is_unknown(error: Exception) -> None:
    assert isinstance(classify(error, verdict), Unknown)


def test_no_credentials_is_not_sent() -> None:
    assert isinstance(classify(boto.NoCredentialsError(), verdict), NotSent)
