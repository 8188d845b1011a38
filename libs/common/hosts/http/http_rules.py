"""Rules of HTTP for every answer (RFC 9110), before and after the routes: unknown paths and methods, HEAD and OPTIONS, headers
that keep personal data out of caches, and an answer to unexpected errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.errors import Problem
from libs.common.hosts.http.problems import brings_body, broken, refuse
from libs.common.hosts.http.routes import Route

#: Answers are private to their caller, and their content type is binding.
PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
#: Where the matched :class:`Route` stands in a request's scope (None: one of the application's own).
ROUTE = "wecare.route"


class HttpRules:
    """The outermost ASGI middleware. Only a request that matches a route passes; every other one is answered here, before its
    body is read. ``own`` are the application's own methods and paths."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route], own: Iterable[tuple[str, str]] = ()) -> None:
        self._app = app
        paths: dict[str, dict[str, Route | None]] = {}
        for route in routes:
            paths.setdefault(route.path, {})[route.method] = route
        for method, path in own:
            paths.setdefault(path, {})[method] = None
        # Fixed paths go before paths with parameters, as they are mounted.
        ordered = sorted(paths.items(), key=lambda each: each[0].count("{"))
        self._paths = [(compile_path(path)[0], methods) for path, methods in ordered]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head, began = scope["method"] == "HEAD", False
        # Nothing reads the body of a GET, so the connection cannot be used again.
        closes = scope["method"] in ("GET", "HEAD") and brings_body(scope)

        async def answer(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                headers = MutableHeaders(scope=message)
                for name, value in PRIVATE.items():
                    headers.setdefault(name, value)
                if closes:
                    headers["Connection"] = "close"
            elif head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        methods = self._methods(scope["path"])
        method = "GET" if head else scope["method"]
        route = methods.get(method)
        try:
            if method in methods:
                await self._app({**scope, "method": method, ROUTE: route}, receive, answer)
            else:
                await _unmatched(methods, scope, receive, answer)
        except Exception as error:
            if began:
                raise
            await broken(error, route.path if route else "")(scope, receive, answer)

    def _methods(self, path: str) -> dict[str, Route | None]:
        """The methods of a path, each with its route; empty where there is none."""
        found: dict[str, Route | None] = {}
        for regex, methods in self._paths:
            if regex.match(path):
                found = {**methods, **found}
        return found


async def _unmatched(methods: Mapping[str, Route | None], scope: Scope, receive: Receive, send: Send) -> None:
    if not methods:
        await refuse(Problem(404, "NOT_FOUND", "There is nothing at this path"), scope, receive, send)
        return
    allowed = ", ".join(sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
    if scope["method"] == "OPTIONS":
        await Response(status_code=204, headers={"Allow": allowed})(scope, receive, send)
        return
    problem = Problem(405, "METHOD_NOT_ALLOWED", "The path does not take this method", f"It takes: {allowed}")
    await refuse(problem, scope, receive, send, {"Allow": allowed})
