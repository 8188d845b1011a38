"""Refuses unsafe JSON bodies before they are parsed: too large, not UTF-8, NaN, duplicate keys, too deep nesting."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import orjson
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.errors import Problem
from libs.common.hosts.http.problems import problem_response
from libs.common.json_text import is_too_deep, levels

#: Larger than any valid request; files are uploaded to S3 by presigned URL.
MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 40
#: The time in which a body must arrive.
BODY_SECONDS = 20.0
_TOO_SLOW = Problem(408, "REQUEST_TIMEOUT", f"The body did not arrive within {BODY_SECONDS:.0f} s")


class StrictJson:
    """ASGI middleware. Reads the body of a JSON request whole, checks it, and passes it on. ``raw`` names paths whose bodies
    are not checked, up to so many bytes: their routes verify a signature before they parse. On paths that match ``guarded``
    nothing is read before ``admit`` accepted the caller: it raises Problem, or stores the caller in the scope."""

    def __init__(
        self,
        app: ASGIApp,
        raw: Mapping[str, int] | None = None,
        guarded: Iterable[str] = (),
        admit: Callable[[Scope], Awaitable[None]] | None = None,
    ) -> None:
        self._app = app
        self._raw = [(compile_path(path)[0], limit) for path, limit in (raw or {}).items()]
        self._guarded = [compile_path(path)[0] for path in guarded]
        self._admit = admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        try:
            raw = next((limit for path, limit in self._raw if path.match(scope["path"])), None)
            if self._admit is not None and any(path.match(scope["path"]) for path in self._guarded):
                await self._admit(scope)
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(receive, raw or MAX_BODY_BYTES)
            if raw is None and body:
                if not _is_json(scope):
                    raise Problem(415, "UNSUPPORTED_MEDIA_TYPE", "Send JSON, as application/json")
                check(body)
        except TimeoutError:
            await _refuse(_TOO_SLOW, scope, receive, send)
            return
        except Problem as problem:
            await _refuse(problem, scope, receive, send)
            return

        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer and close the connection: a client that sends the rest of the body slowly must not hold it."""
    answer = problem_response(problem)
    answer.headers["Connection"] = "close"
    await answer(scope, receive, send)


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
            raise Problem(413, "BODY_TOO_LARGE", f"A request body may have {limit} bytes; upload files instead")
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
