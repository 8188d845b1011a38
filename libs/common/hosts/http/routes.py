"""Declares the HTTP routes of a service: each names its role, or is ``public``.

A *read* is ``async def f(ctx, …) -> Model``. A *write* is ``async def f(body, ctx, …) -> Done[Model]``: the host gives it an
idempotency key, commits the staged writes together with the ledger row, and publishes the events.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Query

from libs.common.aws.auth import Role
from libs.common.declare.event import Event

MAX_PAGE_SIZE = 200
#: A cursor travels in the query; API Gateway takes 10,240 bytes of request line and headers.
MAX_CURSOR_LENGTH = 8000
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)]
Cursor = Annotated[str | None, Query(min_length=1, max_length=MAX_CURSOR_LENGTH)]

F = TypeVar("F", bound=Callable[..., Any])
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

#: The limit of a request body, unless its route declares another; files go to S3 by presigned URL.
DEFAULT_MAX_BODY_BYTES = 1024 * 1024
#: For a body of a few short fields.
SMALL_MAX_BODY_BYTES = 16 * 1024
#: For a route without a body: some clients send an empty object.
EMPTY_MAX_BODY_BYTES = 1024


@dataclass(frozen=True)
class Route:
    """One route. ``role`` None means public: the function authenticates its caller (by a signature)."""

    method: Method
    path: str
    role: Role | None
    function: Callable[..., Any]
    kind: Literal["read", "write", "public"]
    status: int = 200
    #: For a write: the attribute of its answer that is the id of the created resource ("": none, or the path contains it).
    about: str = ""
    #: The largest request body, in bytes. A public route gets the unparsed body, because it verifies a signature first.
    max_bytes: int = DEFAULT_MAX_BODY_BYTES


@dataclass(frozen=True)
class Heard:
    """The answer of a public route (a starlette Response), sent once ``events`` are durable: ``[(key, event)]``, as the
    translator of the feed ``feed`` returns them, so that a message that arrives by both, or twice, is one event."""

    response: Any
    feed: str
    events: Sequence[tuple[str, Event]]


@dataclass
class Api:
    """The routes of one service, for ``Service(serves=…)``."""

    routes: list[Route] = field(default_factory=list)

    def read(self, method: Method, path: str, *, role: Role) -> Callable[[F], F]:
        return self._add(method, path, role, "read", 200)

    def write(
        self,
        method: Method,
        path: str,
        *,
        role: Role,
        status: int = 200,
        about: str = "",
        max_bytes: int | None = None,
    ) -> Callable[[F], F]:
        """``about`` names the attribute of the answer that holds the id of the created resource, for the audit log.
        ``max_bytes`` limits the body; by default to 1 MB, or to 1 KB for a function without a ``body``."""
        return self._add(method, path, role, "write", status, about=about, max_bytes=max_bytes)

    def public(self, method: Method, path: str, *, max_bytes: int | None = None) -> Callable[[F], F]:
        """``async def f(request: starlette Request, ctx) -> starlette Response | Heard``. The function gets the unparsed
        body, because it must verify a signature first."""
        return self._add(method, path, None, "public", 200, max_bytes=max_bytes)

    def _add(
        self, method: Method, path: str, role: Role | None, kind: Any, status: int, *, max_bytes: int | None = None, about: str = ""
    ) -> Callable[[F], F]:  # fmt: skip
        def decorate(function: F) -> F:
            takes = kind == "public" or "body" in inspect.signature(function).parameters
            limit = max_bytes or (DEFAULT_MAX_BODY_BYTES if takes else EMPTY_MAX_BODY_BYTES)
            self.routes.append(Route(method, path, role, function, kind, status, about, limit))
            return function

        return decorate
