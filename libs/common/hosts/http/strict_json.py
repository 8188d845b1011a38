"""Refuses unsafe JSON bodies before they are parsed: too large, not UTF-8, NaN, duplicate keys, too deep nesting."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.errors import Problem
from libs.common.hosts.http.http_rules import ROUTE
from libs.common.hosts.http.problems import refuse
from libs.common.hosts.http.routes import Route
from libs.common.json_text import is_too_deep, levels

MAX_DEPTH = 40
#: The time in which a body must arrive.
BODY_SECONDS = 20.0
_TOO_SLOW = Problem(408, "REQUEST_TIMEOUT", f"The body did not arrive within {BODY_SECONDS:.0f} s")


class StrictJson:
    """ASGI middleware behind :class:`HttpRules`. Reads the body of a request whole, up to its route's limit, checks that it is
    JSON, and passes it on; a public route gets it unchecked, because its signature covers it. If the route has a role, nothing
    is read before ``admit`` accepted the caller: it raises Problem, or stores the caller in the scope."""

    def __init__(self, app: ASGIApp, admit: Callable[[Scope], Awaitable[None]]) -> None:
        self._app = app
        self._admit = admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        route: Route = scope[ROUTE]
        try:
            if route.role is not None:
                await self._admit(scope)
            _check_headers(scope, route.max_bytes)
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(receive, route.max_bytes)
            if route.kind != "public" and body:
                if not _is_json(scope):
                    raise Problem(415, "UNSUPPORTED_MEDIA_TYPE", "Send JSON, as application/json")
                check(body)
        except TimeoutError:
            await refuse(_TOO_SLOW, scope, receive, send)
            return
        except Problem as problem:
            await refuse(problem, scope, receive, send)
            return

        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


def _check_headers(scope: Scope, limit: int) -> None:
    """Raises Problem for a body that would be refused anyway, before any of it is read."""
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            # A small body could unpack to any size, and a signature is over the bytes that are sent.
            raise Problem(415, "UNSUPPORTED_ENCODING", "Send the body uncompressed, without Content-Encoding")
        if name == b"content-length" and value.isdigit() and int(value[:20]) > limit:
            raise _too_large(limit)


def _too_large(limit: int) -> Problem:
    return Problem(413, "BODY_TOO_LARGE", f"A request body may have {limit} bytes here; upload files instead")


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


def _is_json(scope: Scope) -> bool:
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    return not kinds or b"json" in kinds[0].lower()


def check(body: bytes) -> None:
    """Raise a 400 :class:`Problem` for unsafe JSON. Linear time, mostly in C."""
    try:
        value = orjson.loads(body)
    except ValueError as error:
        raise _bad(str(error)) from None
    if is_too_deep(value, MAX_DEPTH):
        raise _bad(f"nested deeper than {MAX_DEPTH}")
    # A string followed by a colon is a member name. Matched from the left, text between two strings is never taken for one.
    if sum(map(bool, _STRINGS.findall(body))) > _members(value):
        raise _bad("an object names a member twice")


def _bad(detail: str) -> Problem:
    return Problem(400, "BAD_JSON", "The body is not JSON that can be used", detail)


_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"\s*+(:?)', re.DOTALL)


def _members(value: Any) -> int:
    """The total number of members of all objects."""
    return sum(len(each) for level in levels(value) for each in level if isinstance(each, dict))
