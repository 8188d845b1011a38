"""Bodies that cannot hurt: bounded, UTF-8, no NaN, no duplicate keys, no bottomless nesting; refused before anything reads them."""

from __future__ import annotations

import json
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.errors import Problem

#: More than any message or form of ours; files go to S3 by presigned URL.
LIMIT_BYTES = 1024 * 1024
LIMIT_DEPTH = 40


class StrictJson:
    """ASGI middleware. Reads the body of a JSON request whole, checks it, and hands it on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        from libs.common.hosts.api import problem_response

        try:
            body = await _read(receive)
            if _is_json(scope) and body:
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


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > LIMIT_BYTES:
            raise Problem(413, "BODY_TOO_LARGE", f"A request body may have {LIMIT_BYTES} bytes; upload files instead")
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
