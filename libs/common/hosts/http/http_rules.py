"""Rules of HTTP for every answer (RFC 9110): HEAD and OPTIONS, ``Allow``, and headers that keep personal data out of caches."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Answers are private to their caller, and their content type is binding.
PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class HttpRules:
    """ASGI middleware. ``routes`` are all methods and paths."""

    def __init__(self, app: ASGIApp, routes: Iterable[tuple[str, str]]) -> None:
        self._app = app
        methods: dict[str, set[str]] = {}
        for method, path in routes:
            methods.setdefault(path, set()).add(method)
        self._routes = [(compile_path(path)[0], found) for path, found in methods.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        allowed = self._allowed(scope["path"])
        if scope["method"] == "OPTIONS" and allowed:
            await Response(status_code=204, headers={"Allow": allowed, **PRIVATE})(scope, receive, send)
            return
        head = scope["method"] == "HEAD"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in PRIVATE.items():
                    headers.setdefault(name, value)
                if message["status"] == 405 and allowed:
                    headers["Allow"] = allowed
            elif head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"} if head else scope, receive, answer)

    def _allowed(self, path: str) -> str:
        """The methods of a path, or "" if the path does not exist."""
        found = {method for regex, methods in self._routes if regex.match(path) for method in methods}
        if "GET" in found:
            found.add("HEAD")
        return ", ".join(sorted({*found, "OPTIONS"})) if found else ""
