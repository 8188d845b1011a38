"""How a service declares its HTTP routes: each names its role, or says ``public``.

A *read* is ``async def f(ctx, …) -> Model``. A *write* is ``async def f(body, ctx, …) -> Done[Model]``: the host gives it an
idempotency key, commits what it stages together with the ledger row, and publishes what it says.
"""

from __future__ import annotations

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
    #: A public route with a limit gets the body as it came, unread and up to so many bytes.
    raw_bytes: int = 0


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

    def write(self, method: Method, path: str, *, role: Role, status: int = 200, about: str = "") -> Callable[[F], F]:
        """``about`` names the attribute of the answer that holds the id of what is made, for the record of who did what."""
        return self._add(method, path, role, "write", status, about=about)

    def public(self, method: Method, path: str, *, raw_bytes: int = 0) -> Callable[[F], F]:
        """``async def f(request: starlette Request, ctx) -> starlette Response | Heard``. With ``raw_bytes`` nothing reads the
        body before the function does, which has a signature to check first."""
        return self._add(method, path, None, "public", 200, raw_bytes=raw_bytes)

    def _add(
        self, method: Method, path: str, role: Role | None, kind: Any, status: int, **more: Any
    ) -> Callable[[F], F]:
        def decorate(function: F) -> F:
            self.routes.append(Route(method, path, role, function, kind, status, **more))
            return function

        return decorate
