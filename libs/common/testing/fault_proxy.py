"""A reverse proxy in front of AWS (or an emulator) that injects network faults.

Use its ``url`` as the endpoint. The first matching rule applies::

    async with FaultProxy(endpoint, [Rule("lost", service="dynamodb", probability=0.2)], seed=1) as proxy: ...
"""

from __future__ import annotations

import asyncio
import fnmatch
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web

from libs.common.testing.partial_failures import split

#: error: answer ``status`` and ``code`` instead of forwarding · reset: drop the connection before forwarding · lost: forward,
#: then drop it · truncated: forward, answer half · twice: forward two times, answer the second · partial: refuse a part of
#: a batch (each entry with ``share``) and forward the rest · delay: wait ``seconds``, then forward.
Fault = Literal["delay", "error", "reset", "lost", "twice", "truncated", "partial"]
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", "expect"}


@dataclass
class Rule:
    """A fault, and the requests that it applies to. ``service`` is the signing name; both names may be patterns. ``contains``
    is text of the body (a table, a queue). ``nth`` are positions among the requests that match (from 1); empty: any."""

    fault: Fault
    service: str = "*"
    operation: str = "*"
    contains: str = ""
    probability: float = 1.0
    nth: tuple[int, ...] = ()
    seconds: float = 0.0
    status: int = 500
    code: str = "InternalServerError"
    share: float = 0.5
    seen: int = field(default=0, init=False)

    def applies(self, service: str, operation: str, body: bytes, chance: random.Random) -> bool:
        names = fnmatch.fnmatch(service, self.service) and fnmatch.fnmatch(operation, self.operation)
        if not names or self.contains.encode() not in body:
            return False
        self.seen += 1
        return (not self.nth or self.seen in self.nth) and chance.random() < self.probability


class FaultProxy:
    """``calls`` counts requests by (service, operation), ``faults`` the injected faults, by (fault, operation)."""

    def __init__(self, target: str, rules: Sequence[Rule] = (), seed: int = 0) -> None:
        self.target = target.rstrip("/")
        self.rules = list(rules)
        self.calls: Counter[tuple[str, str]] = Counter()
        self.faults: Counter[tuple[str, str]] = Counter()
        self.url = ""
        self._chance = random.Random(seed)  # noqa: S311 - repeatable on purpose

    async def __aenter__(self) -> Self:
        self._upstream = aiohttp.ClientSession(
            auto_decompress=False, skip_auto_headers=["User-Agent", "Content-Type", "Accept", "Accept-Encoding"]
        )
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await self._upstream.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if "Expect" in request.headers and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await request.read()
        service, operation = _identify(request, body)
        self.calls[service, operation] += 1
        rule = next((rule for rule in self.rules if rule.applies(service, operation, body, self._chance)), None)
        if rule is None:
            return await self._forward(request, body)
        self.faults[rule.fault, operation] += 1
        return await self._harm(rule, request, operation, body)

    async def _harm(self, rule: Rule, request: web.BaseRequest, operation: str, body: bytes) -> web.StreamResponse:
        if rule.fault == "error":
            return _error(rule, request)
        if rule.fault == "reset":
            return _hang_up(request)
        if rule.fault == "delay":
            await asyncio.sleep(rule.seconds)
        elif rule.fault == "twice":
            await self._forward(request, body)
        elif rule.fault == "partial":
            kept, mend = split(operation, body, lambda: self._chance.random() < rule.share)
            return mend(await self._forward(request, kept)) if kept else mend(web.Response())
        reply = await self._forward(request, body)
        if rule.fault == "lost":
            return _hang_up(request)
        return await _half(request, reply) if rule.fault == "truncated" else reply

    async def _forward(self, request: web.BaseRequest, body: bytes) -> web.Response:
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        async with self._upstream.request(
            request.method, self.target + request.raw_path, headers=headers, data=body, allow_redirects=False
        ) as reply:
            kept = [(name, value) for name, value in reply.headers.items() if name.lower() not in HOP_BY_HOP]
            return web.Response(status=reply.status, headers=kept, body=await reply.read())


def _identify(request: web.BaseRequest, body: bytes) -> tuple[str, str]:
    """The signing name, and the operation if the protocol contains it; else method and path."""
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", request.headers.get("Authorization", ""))
    target = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
    action = parse_qs(body.decode(errors="replace")).get("Action", [""])[0] if body.startswith(b"Action=") else ""
    return scope[1] if scope else "", target or action or f"{request.method} {request.path}"


def _hang_up(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _half(request: web.BaseRequest, reply: web.Response) -> web.StreamResponse:
    body = bytes(reply.body or b"")  # type: ignore[arg-type]
    headers = {name: value for name, value in reply.headers.items() if name != "Content-Length"}
    answer = web.StreamResponse(status=reply.status, headers={**headers, "Content-Length": str(len(body))})
    await answer.prepare(request)
    await answer.write(body[: len(body) // 2])
    return _hang_up(request)


def _error(rule: Rule, request: web.BaseRequest) -> web.Response:
    if "json" in request.headers.get("Content-Type", ""):
        text = f'{{"__type": "{rule.code}", "message": "injected"}}'
        return web.Response(status=rule.status, text=text, headers={"x-amzn-ErrorType": rule.code})
    error = f"<Error><Code>{rule.code}</Code><Message>injected</Message></Error>"
    text = error if request.method != "POST" else f"<ErrorResponse>{error}</ErrorResponse>"
    return web.Response(status=rule.status, text=text, content_type="text/xml")
