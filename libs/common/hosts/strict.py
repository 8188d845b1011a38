"""Bodies that cannot hurt: bounded, UTF-8, no NaN, no duplicate keys, no bottomless nesting; refused before anything reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.errors import Problem
from libs.common.hosts.problems import problem_response

#: More than any message or form of ours; files go to S3 by presigned URL.
LIMIT_BYTES = 1024 * 1024
LIMIT_DEPTH = 40


class StrictJson:
    """ASGI middleware. Reads the body of a JSON request whole, checks it, and hands it on. ``raw`` names paths whose bodies
    are left alone, up to so many bytes: their routes have a signature to check before anything is read."""

    def __init__(self, app: ASGIApp, raw: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._raw = [(compile_path(path)[0], limit) for path, limit in (raw or {}).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        try:
            raw = next((limit for path, limit in self._raw if path.match(scope["path"])), None)
            body = await _read(receive, raw or LIMIT_BYTES)
            if raw is None and _is_json(scope) and body:
                check(body)
        except Problem as problem:
            await problem_response(problem)(scope, receive, send)
            return

        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


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
    """Raise a 400 :class:`Problem` for JSON that a careful reader would not take."""
    try:
        text = body.decode()
        if _depth(text) > LIMIT_DEPTH:
            raise ValueError(f"nested deeper than {LIMIT_DEPTH}")
        json.loads(text, parse_constant=_constant, object_pairs_hook=_unique)
    except UnicodeDecodeError:
        raise Problem(400, "BAD_JSON", "The body is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise Problem(400, "BAD_JSON", "The body is not JSON that can be used", str(error)) from None


def _depth(text: str) -> int:
    """An upper bound without parsing: brackets in strings count too, which no honest body comes near to."""
    deepest = depth = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object names a member twice")
    return found
