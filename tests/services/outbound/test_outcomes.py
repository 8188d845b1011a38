"""R8: fourteen faults and what each must be called, over real sockets. R7: one send is at most one acceptance.

Every channel in the folder sits this exam with the client that it is given in earnest (one attempt)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from botocore import exceptions as boto

from libs.common.aws import clients as entry_point
from libs.common.aws.clients import Aws
from libs.common.aws.rest import Answered, Rest
from libs.common.testing.files import MemoryFiles
from libs.messaging.errors import ErrorCode
from libs.messaging.providers.graph import Graph
from services.outbound.channels.whatsapp.codes import verdict
from services.outbound.channels.whatsapp.meta import MetaClient
from services.outbound.contract import Accepted, Account, NotSent, Outcome, Rejected, Unknown
from services.outbound.sending.outcomes import Refused, classify
from tests.services.outbound.faults import fault_server, free_port, full_listener
from tests.services.outbound.test_cases import FOLDER, META, WAYS, channel_name, channel_of, outgoing

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
#: The same answers in Meta's own words. An expired token is no message's fault, but it does not fix itself either.
META_SAYS = {
    "429 ThrottledRequestException": "429 130429",
    "400 ValidationException": "400 100",
    "500 InternalServiceException": "500 131000",
    "502 DependencyException": "502 2",
    "403 AccessDeniedException": "403 10",
    "404 ResourceNotFoundException": "404 33",
    "403 ExpiredTokenException": "",
    "408 RequestTimeout": "408 1",
    "301 Moved": "301 1",
}
META_ONLY: dict[str, type[Outcome]] = {
    "401 190": Rejected,
    "400 131056": NotSent,
    "400 4": NotSent,
    "400 80007": NotSent,
    "400 130429": NotSent,
    "400 131026": Rejected,
    "400 ": Rejected,
    "no_token": NotSent,
}


def table(way: str) -> dict[str, type[Outcome]]:
    """What happens on the wire of a way, and what it must be called."""
    by_aws = {**TABLE, **MORE}
    if way != META:
        return by_aws
    return {
        META_SAYS.get(fault, fault): outcome for fault, outcome in by_aws.items() if META_SAYS.get(fault, fault)
    } | META_ONLY


EXAM = [pytest.param(way, fault, id=f"{way}: {fault}") for way in WAYS for fault in table(way)]


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


def request_of(way: str) -> dict[str, Any]:
    """A good request of the channel: that of its first good case."""
    name = channel_name(way)
    cases = [case for path in sorted((FOLDER / name / "cases").glob("*.json")) for case in json.loads(path.read_text())]
    good = next(case for case in cases if "expect" in case)
    account = Account(good.get("sender", "sender-1"), good.get("options", {}))
    return channel_of(name).render(outgoing(good["message"]), account)


async def send_by_meta(url: str, token: str) -> Outcome:
    rest = Rest()
    try:
        client = MetaClient("200000000000001", Graph(rest, url, token), MemoryFiles())
        return await channel_of("whatsapp").send(request_of(META), client)
    finally:
        await rest.close()


async def send(name: str, url: str, fault: str = "") -> Outcome:
    if name == META:
        return await send_by_meta(url, "" if fault == "no_token" else "marked-token")
    keys = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    async with Aws(environment={**keys, "AWS_ENDPOINT_URL": url}) as aws:
        channel = channel_of(name)
        return await channel.send(request_of(name), await aws.client(channel.provider, attempts=1))


@pytest.mark.parametrize(("name", "fault"), EXAM)
async def test_fault(name: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_point, "CONNECT_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(entry_point, "READ_TIMEOUT_SECONDS", 0.5)
    async with place(fault) as (url, server):
        outcome = await send(name, url, fault)
        assert type(outcome) is table(name)[fault], outcome
        if server is not None:
            assert server.accepted <= 1, "one send, one request"
            if server.accepted:
                assert isinstance(outcome, Accepted | Unknown), "what was taken is never called refused or not sent"
        if fault.startswith("429"):
            code = fault.partition(" ")[2]
            assert outcome == NotSent(f"{code}: Simulated", 7.0, ErrorCode.THROTTLED, provider_code=code)
        if fault == "no_token":
            assert server is not None
            assert server.accepted == 0


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


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (400, "131056", (NotSent, "throttled", 4.0)),
        (429, "131056", (NotSent, "throttled", 4.0)),
        (429, "130429", (NotSent, "throttled", 2.0)),
        (400, "80007", (NotSent, "throttled", 2.0)),
        (401, "190", (Rejected, "misconfigured", None)),
        (400, "33", (Rejected, "misconfigured", None)),
        (400, "100", (Rejected, "invalid_content", None)),
        (400, "NoErrorBody", (Rejected, "unknown", None)),
    ],
)
def test_metas_own_answers_mean_what_they_mean_through_aws(
    status: int, code: str, outcome: tuple[type, str, float | None]
) -> None:
    found = classify(Answered(status, code, "Simulated"), verdict)
    assert isinstance(found, NotSent | Rejected)
    assert (type(found), found.code, getattr(found, "growth", None)) == outcome
    assert found.provider_code == code
