"""The context: everything that a handler can access. It reads and writes rows of its service's tables and provides the time
and the cause. It does not publish, commit or sleep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from libs.common.aws.auth import Caller
from libs.common.aws.clients import Aws
from libs.common.aws.fetch import Fetcher
from libs.common.aws.files import Files
from libs.common.aws.rest import Rest
from libs.common.aws.secrets import Secrets
from libs.common.clock import Clock
from libs.common.declare.event import Cause, Event
from libs.common.declare.names import Names
from libs.common.declare.service import Bucket, Secret, Service
from libs.common.errors import Conflict
from libs.common.settings import Settings
from libs.common.store import ops
from libs.common.store.item import Item, Row
from libs.common.store.ops import Insert, Op, Put, Query, Store, When, Write, Written

T = TypeVar("T", bound=Item)
V = TypeVar("V")
W = TypeVar("W")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of items; ``cursor`` is the position of the next page, None on the last."""

    items: list[T]
    cursor: str | None = None


@dataclass(frozen=True)
class Done(Generic[V]):
    """The result of a request: the value to answer with, and the events that follow. ``before`` and ``after`` go to the audit
    log: enum values and numbers of the change, never an address, a name or a text."""

    value: V
    events: tuple[Event, ...] = ()
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None

    def shown(self, value: W) -> Done[W]:
        """The same with another value to answer with."""
        return Done(value, self.events, self.before, self.after)


async def _no_depth(queue: str) -> int:
    raise RuntimeError("this context has no bus")


async def _no_queue(queue: str, body: str, attributes: dict[str, str]) -> None:
    raise RuntimeError("this context has no bus")


@dataclass
class Context:
    """Created for each event or request."""

    service: Service
    settings: Settings
    store: Store
    clock: Clock
    aws: Aws
    secrets: Secrets
    files: Files
    fetcher: Fetcher
    rest: Rest
    #: The event being handled; None in a tick and in a read.
    cause: Cause | None = None
    actor: str = "system"
    #: The caller of a read, from the token. Writes use ``actor``, which outlives the request.
    caller: Caller | None = None
    #: Whether caches of copies are bypassed, because a copy has just refused this request.
    fresh: bool = False
    staged: list[Op] = field(default_factory=list)
    #: ``(queue, body, attributes)``: a replay to a source queue. Only the service that hears dead letters
    #: has this permission.
    requeue: Callable[[str, str, dict[str, str]], Awaitable[None]] = _no_queue
    #: How many messages a queue holds, by its physical name.
    depth: Callable[[str], Awaitable[int]] = _no_depth

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @property
    def required_cause(self) -> Cause:
        """What is being handled. Raises RuntimeError in a tick and in a read."""
        if self.cause is None:
            raise RuntimeError(f"{self.service.name} needs a cause here; a tick and a read have none")
        return self.cause

    @property
    def names(self) -> Names:
        return Names(self.settings.prefix)

    def table(self, model: type[Item]) -> str:
        return self.names.table(self.service.name, model)

    async def get(self, model: type[T], hash: str, sort: str | None = None) -> T | None:
        """The current row; None if it does not exist or has expired."""
        row = await self.store.get(self.table(model), model.key(hash, sort))
        return None if row is None else model.from_row(row)

    async def query(  # noqa: PLR0913 - the parts of one question
        self,
        model: type[T],
        hash: str,
        *,
        index: str | None = None,
        prefix: str | None = None,
        between: tuple[str, str] | None = None,
        limit: int = 50,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[T]:
        """Items under one hash value in the order of the sort key. For an index that projects keys only, the
        rows are read too. Raises :class:`~libs.common.store.ops.BadCursor`."""
        table = model.TABLE
        where = table.index(index) if index else None
        found = await self.store.query(
            Query(
                table=self.table(model),
                hash=(where.hash if where else table.key, hash),
                index=index,
                sort=where.sort if where else table.sort,
                prefix=prefix,
                between=between,
                limit=limit,
                cursor=cursor,
                newest_first=newest_first,
            )
        )
        rows = found.rows
        if where is not None and where.projection == "KEYS_ONLY":
            rows = await self._whole(model, rows)
        return Page([model.from_row(row) for row in rows], found.cursor)

    async def query_all(self, model: type[T], hash: str, **where: Any) -> AsyncIterator[T]:
        """As ``query``, through all pages; ``limit`` is the size of a page."""
        cursor: str | None = None
        while True:
            page = await self.query(model, hash, cursor=cursor, **where)
            for item in page.items:
                yield item
            if (cursor := page.cursor) is None:
                return

    async def _whole(self, model: type[Item], rows: Sequence[Row]) -> list[Row]:
        names = [name for name in (model.TABLE.key, model.TABLE.sort) if name]
        keys = [{name: row[name] for name in names} for row in rows]
        whole = await asyncio.gather(*(self.store.get(self.table(model), key) for key in keys))
        return [row for row in whole if row is not None]

    async def write(self, op: Write) -> Written:
        """One immediate conditional write, for handlers by condition; a handler by ledger stages its writes."""
        return await self.store.write(op)

    async def save(self, item: T, over: T | None) -> None:
        """Replace the row that was read, or insert ``item`` if there was none. Raises Conflict if another writer was faster;
        then the handler runs again on fresh rows."""
        if not await self.write(self.upsert(item, over)):
            raise Conflict(f"another {type(item).__name__} came first")

    def stage(self, *operations: Op) -> None:
        """Writes that are committed together with the ledger row and the handler's events."""
        self.staged.extend(operations)

    def insert(self, item: Item) -> Insert:
        """Write ``item`` if its key is absent."""
        return ops.insert(self.table(type(item)), item)

    def put(self, item: Item) -> Put:
        """Write ``item`` unconditionally."""
        return Put(self.table(type(item)), item.to_row())

    def replace(self, item: Item) -> ops.Update:
        """Replace the row, on the condition of the version that was read."""
        return ops.replace(self.table(type(item)), item)

    def upsert(self, item: T, over: T | None) -> Insert | ops.Update:
        """Write ``item`` over the row that was read, at that row's version, or as a new one if there was none."""
        return self.insert(item) if over is None else self.replace(item.model_copy(update={"version": over.version}))

    def update(
        self,
        model: type[Item],
        hash: str,
        sort: str | None = None,
        *,
        set: Row,
        remove: tuple[str, ...] = (),
        when: tuple[When, ...] = (),
    ) -> ops.Update:
        """Change attributes (camelCase, JSON values) of an existing row under conditions."""
        return ops.Update(self.table(model), model.key(hash, sort), set, remove, when)

    def delete(self, model: type[Item], hash: str, sort: str | None = None, when: tuple[When, ...] = ()) -> ops.Delete:
        return ops.Delete(self.table(model), model.key(hash, sort), when)

    async def waiting(self, lane: str = "") -> int:
        """The approximate number of messages in a queue of this service: waiting, delayed and in flight."""
        return await self.depth(self.names.queue(self.service.name, lane))

    async def secret(self, name: str) -> str:
        """The value of a secret that the service declares in ``needs``. Raises LookupError for any other."""
        for need in self.service.needs:
            if isinstance(need, Secret) and need.name == name:
                return await self.secrets.get(self.names.secret(need.owner or self.service.name, name))
        raise LookupError(f"{self.service.name} does not declare the secret {name}")

    def bucket(self, name: str) -> str:
        """The physical name of a bucket that the service declares in ``needs``. Raises LookupError for any other."""
        for need in self.service.needs:
            if isinstance(need, Bucket) and need.name == name:
                return self.names.bucket(need.owner or self.service.name, name)
        raise LookupError(f"{self.service.name} does not declare the bucket {name}")

    async def client(self, service: str) -> Any:
        """The AWS client of a provider's API; it sends each request at most once."""
        return await self.aws.client(service, attempts=1)
