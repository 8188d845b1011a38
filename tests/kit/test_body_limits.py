"""What is refused before anything of a body is read, and how much of it is read at most, on every host."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import hmac
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from libs.common.aws.auth import Role
from libs.common.declare.service import Service
from libs.common.handle.context import Context, Done
from libs.common.hosts.http.api import create_app
from libs.common.hosts.http.routes import Api
from libs.common.hosts.lambda_http import adapter
from libs.common.testing.world import FakeVerifier, World
from tests.kit import toy
from tests.kit.test_http_rules import Lazy
from tests.kit.test_lambda_http import asked

SECRET = b"a secret"
routes = Api()


@routes.write("POST", "/api/small", role=Role.OPERATOR, max_bytes=100)
async def small(body: toy.Hello, ctx: Context) -> Done[toy.Greeting]:
    """A write with a limit of its own."""
    return Done(toy.Greeting(name=body.name))


@routes.write("POST", "/api/large", role=Role.OPERATOR)
async def large(body: toy.Hello, ctx: Context) -> Done[toy.Greeting]:
    """A write without."""
    return Done(toy.Greeting(name=body.name))


@routes.write("POST", "/api/empty", role=Role.OPERATOR)
async def empty(ctx: Context) -> Done[toy.Greeting]:
    """A write that takes no body."""
    return Done(toy.Greeting(name="nobody"))


@routes.public("POST", "/signed", max_bytes=5_000)
async def signed(request: Request, ctx: Context) -> Response:
    """A webhook."""
    digest = hmac.new(SECRET, await request.body(), hashlib.sha256).hexdigest()
    return PlainTextResponse("ok" if digest == request.headers["x-digest"] else "forged")


service = Service("limits", owns=[toy.Greeting], serves=routes)
LIMITS = {"/api/small": 100, "/api/large": 1024 * 1024, "/api/empty": 1024, "/signed": 5_000}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World([service]) as world:
        yield world


class Body:
    """A body that tells how much of it was asked for."""

    def __init__(self, chunk: bytes = b" " * 10_000, chunks: int = 100) -> None:
        self.read = 0
        self._chunk, self._chunks = chunk, chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self._chunks):
            self.read += len(self._chunk)
            yield self._chunk


def lazy(world: World) -> httpx.AsyncClient:
    app = world.http()._transport.app  # type: ignore[attr-defined]
    return httpx.AsyncClient(transport=Lazy(app), base_url="http://test")


def test_the_table_of_routes_has_the_limits() -> None:
    assert {route.path: route.max_bytes for route in routes.routes} == LIMITS


@pytest.mark.parametrize("path", LIMITS)
async def test_a_body_over_the_limit_of_its_route_is_refused_and_the_limit_is_named(world: World, path: str) -> None:
    limit = LIMITS[path]
    fits = json.dumps({"name": "ann"}).encode().ljust(limit)
    headers = {"X-Digest": "", "Content-Type": "application/json"}
    well = await world.http().post(path, content=fits, headers=headers)
    assert well.status_code == 200
    answer = await world.http().post(path, content=fits + b" ", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
    assert f" {limit} bytes" in answer.json()["title"]


@pytest.mark.parametrize("path", LIMITS)
async def test_of_a_body_that_says_no_length_only_as_much_as_the_limit_is_read(world: World, path: str) -> None:
    body = Body(b" " * 500, 10_000)
    async with lazy(world) as client:
        answer = await client.post(path, content=body, headers={"Authorization": "Bearer OPERATOR"})
    assert answer.status_code == 413
    assert body.read <= LIMITS[path] + 500


@pytest.mark.parametrize("path", LIMITS)
async def test_nothing_is_read_of_a_body_that_says_it_is_too_large(world: World, path: str) -> None:
    body = Body()
    headers = {"Authorization": "Bearer OPERATOR", "Content-Length": str(2**30)}
    async with lazy(world) as client:
        answer = await client.post(path, content=body, headers=headers)
    assert (answer.status_code, body.read) == (413, 0)


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("POST", "/nowhere", 404, None),
        ("BREW", "/nowhere", 404, None),
        ("PUT", "/api/small", 405, "OPTIONS, POST"),
        ("DELETE", "/signed", 405, "OPTIONS, POST"),
        ("POST", "/health", 405, "GET, HEAD, OPTIONS"),
        ("PATCH", "/api/openapi.json", 405, "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_body_for_an_unknown_path_or_method_is_not_read(
    world: World, method: str, path: str, status: int, allow: str | None
) -> None:
    body = Body()
    async with lazy(world) as client:
        answer = await client.request(method, path, content=body)
    assert (answer.status_code, body.read) == (status, 0)
    full = await world.http(None).request(method, path, content=b"x")
    assert (full.headers.get("allow"), full.headers["connection"]) == (allow, "close")
    assert full.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", LIMITS)
@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "identity, deflate"])
async def test_an_encoded_body_is_refused_unread_and_the_reason_said(world: World, path: str, encoding: str) -> None:
    body = Body(gzip.compress(b'{"name": "ann"}'))
    async with lazy(world) as client:
        headers = {"Authorization": "Bearer OPERATOR", "Content-Encoding": encoding}
        answer = await client.post(path, content=body, headers=headers)
    assert (answer.status_code, body.read) == (415, 0)
    assert answer.json()["code"] == "UNSUPPORTED_ENCODING"
    assert "Content-Encoding" in answer.json()["title"]


async def test_without_a_token_the_encoding_of_a_body_is_not_even_told(world: World) -> None:
    answer = await world.http(None).post("/api/small", content=b"x", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 401


async def test_a_webhook_is_signed_over_the_bytes_as_they_came(world: World) -> None:
    for body in (b'{"a":  1, "a": 2}', gzip.compress(b"{}"), b"\xff\x00"):
        headers = {"X-Digest": hmac.new(SECRET, body, hashlib.sha256).hexdigest(), "Content-Encoding": "identity"}
        assert (await world.http(None).post("/signed", content=body, headers=headers)).text == "ok"


async def test_an_answer_to_a_get_with_a_body_ends_the_connection(world: World) -> None:
    answer = await world.http(None).request("GET", "/health", content=b"x")
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert "connection" not in (await world.http(None).get("/health")).headers


def test_a_function_has_the_same_limits() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    world = World([service])
    try:
        answer = adapter(create_app(world.runtime, [service], FakeVerifier()))

        def status(path: str, size: int) -> int:
            request = asked("POST", path) | {"body": '{"name": "ann"}'.ljust(size)}
            request["headers"] |= {
                "authorization": "Bearer OPERATOR",
                "x-digest": "",
                "content-type": "application/json",
            }
            code: int = answer(request, None)["statusCode"]  # type: ignore[arg-type]
            return code

        assert [(status(path, limit), status(path, limit + 1)) for path, limit in LIMITS.items()] == [(200, 413)] * 4
    finally:
        loop.run_until_complete(world.__aexit__(None, None, None))
        asyncio.set_event_loop(None)
        loop.close()
