"""R8: fourteen faults and what each must be called, over real sockets. R7: one send is at most one acceptance.

Every sender sits this exam with each of its clients, as it is given in earnest (one attempt)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libs.common.aws import clients as entry_point
from libs.messaging.errors import ErrorCode
from services.outbound.contract import Accepted, Account, NotSent, Outcome, Rejected, Request, Unknown, client_of
from tests.channels.faults import FaultServer, fault_server, free_port, full_listener
from tests.channels.senders import CLIENTS, SECRET, SERVICES, Client, cases_of, channel_of, outgoing, world_of

#: What happens on the wire, and what it must be called, whatever the provider.
WIRE: dict[str, type[Outcome]] = {
    "dns": NotSent,
    "refused": NotSent,
    "tls": NotSent,
    "connect_timeout": NotSent,
    "reset_before": Unknown,
    "reset_after": Unknown,
    "hang": Unknown,
    "half_body": Unknown,
    "bad_json": Unknown,
    "503 ": Unknown,
}
#: Answers that every provider gives, in words of its own.
ANSWERS: dict[str, type[Outcome]] = {"429": NotSent, "400": Rejected, "500": Unknown, "502": Unknown}
MORE: dict[str, type[Outcome]] = {"ok": Accepted, "no_id": Unknown}
#: In the words of socialmessaging; every AWS service answers 429 and 4xx alike.
AWS_SAYS: dict[str, type[Outcome]] = {
    "429 ThrottledRequestException": NotSent,
    "400 ValidationException": Rejected,
    "500 InternalServiceException": Unknown,
    "502 DependencyException": Unknown,
    "403 AccessDeniedException": Rejected,
    "404 ResourceNotFoundException": Rejected,
    "403 ExpiredTokenException": NotSent,
    "408 RequestTimeout": Unknown,
    "301 Moved": Unknown,
}
OUTCOMES: dict[str, type[Outcome]] = {kind.__name__: kind for kind in (Accepted, NotSent, Rejected, Unknown)}


def table(client: Client) -> dict[str, type[Outcome]]:
    """What happens on the wire of a client, and what it must be called."""
    if client.is_aws:
        return {**WIRE, **MORE, **AWS_SAYS}
    return {**WIRE, **MORE, "no_token": NotSent, **{fault: OUTCOMES[name] for fault, name in client.faults.items()}}


EXAM = [pytest.param(client, fault, id=f"{client}: {fault}") for client in CLIENTS for fault in table(client)]


@asynccontextmanager
async def place(fault: str, client: Client) -> AsyncIterator[tuple[str, FaultServer | None]]:
    """The address where the fault is met, and the server that counts (None where nobody listens)."""
    if fault == "dns":
        yield "http://nobody.invalid", None
    elif fault == "refused":
        yield f"http://127.0.0.1:{free_port()}", None
    elif fault == "connect_timeout":
        async with full_listener() as url:
            yield url, None
    else:
        async with fault_server("ok" if fault in ("tls", "no_token") else fault, client) as server:
            yield server.url.replace("http:", "https:") if fault == "tls" else server.url, server


def request_of(channel: str) -> Request:
    """A good request of the channel: that of its first good case."""
    good = next(case for case in cases_of(channel) if "expect" in case)
    account = Account(good.get("sender", "sender-1"), good.get("options", {}))
    return channel_of(channel).render(outgoing(good["message"]), account)


async def send(client: Client, url: str, fault: str = "") -> Outcome:
    channel, secret = channel_of(client.channel), "" if fault == "no_token" else SECRET
    async with world_of(client, url, client.settings(url, {}), secret=secret) as world:
        ctx = world.runtime.context(SERVICES[client.service])
        return await channel.send(request_of(client.channel), await client_of(channel, client.sender, ctx))


@pytest.mark.parametrize(("client", "fault"), EXAM)
async def test_fault(client: Client, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_point, "CONNECT_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(entry_point, "READ_TIMEOUT_SECONDS", 0.5)
    async with place(fault, client) as (url, server):
        outcome = await send(client, url, fault)
        assert type(outcome) is table(client)[fault], outcome
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


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_the_table_has_fourteen_faults(client: Client) -> None:
    assert len(WIRE) + len(ANSWERS) == 14
    found: dict[str, set[Any]] = {}
    for fault, outcome in table(client).items():
        found.setdefault(fault.partition(" ")[0], set()).add(outcome)
    assert set(WIRE) <= set(table(client))
    missing = [status for status, outcome in ANSWERS.items() if outcome not in found.get(status, ())]
    assert missing == [], "what the provider answers is not examined"
