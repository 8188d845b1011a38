"""Every recorded answer of Meta's API becomes exactly what is written beside it, over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from libs.common.aws.rest import Rest
from libs.common.testing.files import MemoryFiles
from libs.messaging.providers.graph import Graph
from services.outbound.channels.whatsapp.channel import WhatsApp
from services.outbound.channels.whatsapp.meta import MetaClient
from services.outbound.contract import Accepted, NotSent, Outcome, Rejected, Unknown
from tests.channels.test_faults import request_of

CASES = Path("services/outbound/channels/whatsapp/cases/meta")
SAMPLES = sorted(path for path in CASES.glob("*.json") if path.name != "expected.json")
BODIES = {path: path.read_bytes() for path in SAMPLES}
EXPECTED: dict[str, dict[str, Any]] = json.loads((CASES / "expected.json").read_text())


@asynccontextmanager
async def meta_that_answers(status: int, body: bytes) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=status, body=body, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def outcome_of_sample(path: Path) -> Outcome:
    files = MemoryFiles()
    await files.put("bucket", "files/f1.png", b"bytes", "image/png")
    rest = Rest()
    async with meta_that_answers(EXPECTED[path.name]["status"], BODIES[path]) as url:
        client, channel = MetaClient("200000000000001", Graph(rest, url, "token"), files), WhatsApp()
        if ".media." in path.name:
            outcome = await channel.upload("bucket", "files/f1.png", "200000000000001", client)
        else:
            outcome = await channel.send(request_of("whatsapp"), client)
        await rest.close()
    return outcome


def as_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as the expectation writes it."""
    found: dict[str, Any] = {"becomes": type(outcome).__name__}
    match outcome:
        case Accepted():
            return {**found, "providerId": outcome.provider_id}
        case Rejected():
            return {**found, "code": outcome.code, "providerCode": outcome.provider_code, "words": outcome.detail}
        case NotSent():
            words = {"code": outcome.code, "providerCode": outcome.provider_code, "words": outcome.cause}
            return {**found, **words, "growth": outcome.growth}
    return found


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
async def test_a_sample_becomes_what_is_written_beside_it(path: Path) -> None:
    assert {"status": EXPECTED[path.name]["status"], **as_json(await outcome_of_sample(path))} == EXPECTED[path.name]


async def test_the_table_of_what_each_sample_became() -> None:
    """Run with -s to read it."""
    assert set(EXPECTED) == {path.name for path in SAMPLES}
    for path in SAMPLES:
        said = as_json(await outcome_of_sample(path))
        word = " ".join(str(said[name]) for name in ("code", "providerCode", "providerId") if name in said)
        print(f"{path.stem:62} {said['becomes']:28} {word}")


@pytest.mark.parametrize(("status", "becomes"), [(200, Unknown), (400, Rejected)])
async def test_an_answer_that_is_nested_without_end_is_one_that_cannot_be_read(
    status: int, becomes: type[Outcome]
) -> None:
    rest = Rest()
    async with meta_that_answers(status, b'{"error":' + b"[" * 100_000 + b"]" * 100_000 + b"}") as url:
        client = MetaClient("200000000000001", Graph(rest, url, "token"), MemoryFiles())
        assert type(await WhatsApp().send(request_of("whatsapp"), client)) is becomes
        await rest.close()
