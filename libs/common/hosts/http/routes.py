"""How a service declares its HTTP routes: each names its role, or says ``public``.

A *read* is ``async def f(ctx, …) -> Model``. A *write* is ``async def f(body, ctx, …) -> Done[Model]``: the host gives it an
idempotency key, commits what it stages together with the ledger row, and publishes what it says.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from libs.common.aws.auth import Role
from libs.common.declare.event import Event

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
    """One route. ``role`` None means public: it must authenticate its caller by itself (a signature)."""

    method: Method
    path: str
    role: Role | None
    function: Callable[..., Any]
    kind: Literal["read", "write", "public"]
    status: int = 200
    #: Of a write: the attribute of its answer that is the id of what it makes ("": the path names it, or nothing does).
    about: str = ""
    #: The largest request body. A public route gets the body as it came: it has a signature to check first.
    max_bytes: int = DEFAULT_MAX_BODY_BYTES


@dataclass(frozen=True)
class Heard:
    """What a public route answers with (a starlette Response) once ``events`` is durable: ``[(key, event)]``, as a translator
    of the feed ``feed`` says it, so that what comes on both ways, or again, is one."""

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
        """``about`` names the attribute of the answer that holds the id of what is made, for the record of who did what.
        ``max_bytes`` limits the body; without it the limit is the default one, or next to nothing for a function that
        takes no ``body``."""
        return self._add(method, path, role, "write", status, about=about, max_bytes=max_bytes)

    def public(self, method: Method, path: str, *, max_bytes: int | None = None) -> Callable[[F], F]:
        """``async def f(request: starlette Request, ctx) -> starlette Response | Heard``. Nothing parses the body before the
        function does, which has a signature to check first."""
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
