"""What a client costs that opens connections and sends nothing, or half of something. A real server, real sockets."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from libs.common.declare.service import Service
from libs.common.hosts.connections import TimedH11Protocol, allow_open_files
from libs.common.hosts.http.api import create_app
from libs.common.hosts.http.server import config_of
from libs.common.testing.world import FakeVerifier, World
from tests.kit import toy

HOST = "127.0.0.1"
#: What is closed in time is closed long before.
WAIT_SECONDS = 20


class Quick(TimedH11Protocol):
    """As in earnest, but for the seconds."""

    header_timeout_seconds = 0.3


@pytest.fixture
async def open_files() -> AsyncIterator[int]:
    """How many files this process may open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    allow_open_files()
    yield resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@asynccontextmanager
async def serving(
    protocol: type[TimedH11Protocol] | None = None, services: Sequence[Service] = (toy.service,)
) -> AsyncIterator[int]:
    """A server of these services; its port."""
    async with World(services) as world:
        config = config_of(create_app(world.runtime, world.services, FakeVerifier()), HOST, 0, "WARNING")
        config.http = protocol or config.http
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            yield server.servers[0].sockets[0].getsockname()[1]
        finally:
            server.should_exit = True
            await running


async def closed(reader: asyncio.StreamReader) -> bytes:
    """What came until the connection was closed."""
    try:
        return await asyncio.wait_for(reader.read(), WAIT_SECONDS)
    except ConnectionError:
        return b""


async def health(port: int) -> int:
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", trust_env=False) as http:
        return (await http.get("/health")).status_code


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /hea",
        b"POST /api/toys HTTP/1.1\r\nHost: x\r\nX-Half: ",
        # A whole request, and then the half of another.
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /hea",
        # An answered request whose body never comes.
        b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
    ],
)
async def test_a_connection_whose_request_does_not_come_is_closed(sent: bytes) -> None:
    async with serving(Quick) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(sent[:-4])
        await writer.drain()
        writer.write(sent[-4:])
        answer = await closed(reader)
        assert answer.startswith(b"HTTP/1.1 ") is (b"\r\n\r\n" in sent)
        writer.close()


async def test_a_header_that_comes_byte_by_byte_gets_no_more_time() -> None:
    async with serving(Quick) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        ended = asyncio.create_task(closed(reader))
        while not ended.done():
            writer.write(b"G")
            await asyncio.sleep(0.02)
        assert await ended == b""
        writer.close()


async def test_a_later_request_of_a_connection_that_comes_by_halves_is_timed_too() -> None:
    async with serving(Quick) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b'{"status":"ok"}')
        writer.write(b"GET /health HTTP/1.1\r\nHost")
        assert await closed(reader) == b""
        writer.close()


async def test_an_idle_connection_is_kept_and_a_long_request_is_not_cut() -> None:
    """Between requests uvicorn's own, longer timer counts; a body has a time of its own."""
    async with serving(Quick) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        head = b"POST /api/toys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer OPERATOR\r\nContent-Type: application/json\r\n"
        for name in (b"ann", b"bob"):
            body = b'{"name": "%b"}' % name
            writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body))
            await asyncio.sleep(3 * Quick.header_timeout_seconds)
            writer.write(body)
            assert b"201 Created" in await reader.readuntil(b'"%b"' % name)
            assert await reader.readuntil(b"}")
            await asyncio.sleep(3 * Quick.header_timeout_seconds)
        assert not reader.at_eof()
        writer.close()


async def test_thousands_of_silent_connections_do_not_keep_health_from_answering(open_files: int) -> None:
    # This process has both ends of each.
    many = min(2_000, (open_files - 300) // 2)
    assert many > 600, "the limit of open files leaves nothing to show"
    async with serving() as port, AsyncExitStack() as stack:
        first: list[asyncio.StreamReader] = []
        for _ in range(many // 100):
            for reader, writer in await asyncio.gather(*(asyncio.open_connection(HOST, port) for _ in range(100))):
                stack.callback(writer.close)
                first.append(reader)
            assert await health(port) == 200
        # Who has waited longest made room.
        await closed(first[0])
        assert first[0].at_eof() or first[0].exception()
        assert len(TimedH11Protocol._waiting) <= TimedH11Protocol.max_waiting


def test_the_protocol_is_named_so_that_what_else_is_installed_changes_nothing() -> None:
    config = config_of(FastAPI(), HOST, 0)
    config.load()
    assert config.http_protocol_class is TimedH11Protocol
