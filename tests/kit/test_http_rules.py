"""The rules of HTTP for every answer, and the refusals without a token."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import datetime
from time import process_time
from typing import ClassVar

import httpx
import pytest

from libs.common.aws.auth import Role
from libs.common.aws.clients import Aws
from libs.common.clock import FIRST_MOMENT, LAST_MOMENT, iso
from libs.common.declare.service import Service
from libs.common.errors import Problem
from libs.common.handle.context import Context, Done
from libs.common.hosts.http.routes import Api
from libs.common.hosts.http.strict_json import check
from libs.common.store.item import Item, Table
from libs.common.store.ops import BadCursor, Query
from libs.common.store.values import decode_cursor
from libs.common.testing.world import World
from tests.kit import toy


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with World([toy.service]) as world:
        await world.http().post("/api/toys", json={"name": "ann"})
        yield world.http()


async def test_answers_are_kept_by_no_cache_and_read_as_no_other_type(http: httpx.AsyncClient) -> None:
    for answer in [await http.get("/api/toys/ann"), await http.get("/api/toys/nobody"), await http.get("/nowhere")]:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_head_answers_as_get_does_without_the_body(http: httpx.AsyncClient) -> None:
    answer = await http.head("/api/toys/ann")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len((await http.get("/api/toys/ann")).content))


async def test_options_and_a_wrong_method_tell_what_is_allowed(http: httpx.AsyncClient) -> None:
    answer = await http.options("/api/toys/ann")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    answer = await http.delete("/api/toys/ann")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (await http.options("/nowhere")).status_code == 404


async def test_a_slash_too_many_leads_nowhere(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/toys/ann/", headers={"Host": "evil.example.com"})
    assert answer.status_code == 404
    assert "location" not in answer.headers


async def test_a_query_parameter_that_the_route_does_not_have_is_refused_by_name(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/toys/ann", params={"colour": "red"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "colour")


async def test_an_id_longer_than_any_of_ours_is_not_found(http: httpx.AsyncClient) -> None:
    assert (await http.get(f"/api/toys/{'x' * 3000}")).status_code == 404


async def test_a_body_that_is_no_json_is_refused_by_its_type(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/toys", content="name=ann", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


class Asked(Item):
    TABLE: ClassVar[Table] = Table("asked", key="id")

    id: str


queried = Api()


@queried.write("POST", "/api/asked", role=Role.OPERATOR)
async def ask(ctx: Context, colour: str = "red") -> Done[Asked]:
    """A write with a query parameter."""
    return Done(Asked(id=colour))


async def test_a_key_used_with_another_query_is_another_request() -> None:
    async with World([Service("asking", owns=[Asked], serves=queried)]) as world:
        http, headers = world.http(), {"Idempotency-Key": "k"}
        first = await http.post("/api/asked", params={"colour": "red"}, headers=headers)
        again = await http.post("/api/asked", params={"colour": "red"}, headers=headers)
        other = await http.post("/api/asked", params={"colour": "blue"}, headers=headers)
        assert (first.status_code, again.json()) == (200, first.json())
        assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_connection_is_closed_after_a_body_that_was_not_read(http: httpx.AsyncClient) -> None:
    refused = [
        await http.post("/api/toys", json={}, headers={"Authorization": "Bearer nobody"}),
        await http.post("/api/toys", content="name=ann", headers={"Content-Type": "text/plain"}),
        await http.post("/api/toys", content=b"x" * 1_100_000),
    ]
    assert [answer.status_code for answer in refused] == [401, 415, 413]
    assert {answer.headers["connection"] for answer in refused} == {"close"}


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_the_edges_of_the_calendar_are_written_down(moment: str) -> None:
    assert iso(datetime.fromisoformat(moment)) in (FIRST_MOMENT, LAST_MOMENT)


async def test_a_cursor_nested_without_end_belongs_to_no_list() -> None:
    cursor = base64.b64encode(b"[" * 3000).decode()
    with pytest.raises(BadCursor):
        decode_cursor(Query("toys", ("name", "x"), cursor=cursor), toy.Greeting.TABLE)


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
async def test_either_name_of_the_region_is_enough(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, "eu-central-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    async with Aws(environment=keys) as aws:
        assert (await aws.client("sqs")).meta.region_name == "eu-central-1"


@pytest.mark.parametrize("token", [None, "", "nobody"])
async def test_nothing_of_a_body_is_read_before_the_token_is_verified(token: str | None) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"[" * 10_000

    async with World([toy.service]) as world:
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {token}"} if token is not None else {}
        )
        transport = world.http(None)._transport
        async with httpx.AsyncClient(transport=Lazy(transport.app), base_url="http://test") as client:  # type: ignore[attr-defined]
            answer = await client.post("/api/toys", content=body(), headers=headers)
    assert answer.status_code == 401
    assert read == 0


class Lazy(httpx.AsyncBaseTransport):
    """Hands the body over only as it is asked for, as a server does."""

    def __init__(self, app: object) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        stream = request.stream.__aiter__()  # type: ignore[union-attr]
        scope = {
            "type": "http", "method": request.method, "path": request.url.path, "raw_path": request.url.raw_path,
            "query_string": request.url.query, "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": "http", "http_version": "1.1", "server": ("test", 80), "client": ("127.0.0.1", 1), "root_path": "",
        }  # fmt: skip
        reported: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            try:
                return {"type": "http.request", "body": await anext(stream), "more_body": True}
            except StopAsyncIteration:
                return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, object]) -> None:
            reported.append(message)

        await self._app(scope, receive, send)  # type: ignore[operator]
        return httpx.Response(int(str(reported[0]["status"])), content=bytes(reported[1]["body"]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body",
    [
        '{"a": 1, "a": 2}', '{"x": {"b": [], "b": []}}', '[{"\\"k": 1, "\\"k": 2}]', "NaN", "[1,", '"\\ud800"', "[" * 41 + "]" * 41,
    ],
)  # fmt: skip
def test_json_that_two_readers_would_read_differently_is_refused(body: str) -> None:
    with pytest.raises(Problem) as refused:
        check(body.encode())
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "body",
    ['{"a": "b\\": c", "d": ["x", ":", {"e": "\\\\"}]}', '["a:", "b"]', "[" * 40 + "]" * 40, '{"é": "\\u00e9"}', "1"],
)
def test_json_that_is_well_is_taken(body: str) -> None:
    check(body.encode())


def test_looking_through_a_body_takes_time_that_grows_with_it_and_no_faster() -> None:
    def cost(n: int) -> float:
        hostile = json.dumps([{"a": '"' * 20, "b": ["\\" * 20] * 20}] * n).encode()
        return min(_timed(hostile) for _ in range(3))

    def _timed(body: bytes) -> float:
        began = process_time()
        check(body)
        return process_time() - began

    assert cost(4000) < 12 * max(cost(1000), 1e-4)
