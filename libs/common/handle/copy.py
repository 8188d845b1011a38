"""A service's local copy of another service's facts: the one kind that there is, whatever the facts are.

A copy lags behind by milliseconds to seconds. So that callers read their own writes, a refusal that such lag can explain is given
only after the copy had time to arrive (:func:`wait_for_copies`); only refusals wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from cachetools import LRUCache

from libs.common.declare.event import Event
from libs.common.declare.service import Handler, On, on
from libs.common.errors import CopyRefusal
from libs.common.handle.context import Context
from libs.common.handle.runtime import Runtime
from libs.common.store.item import Item
from libs.common.store.per_store import PerStore

T = TypeVar("T", bound=Item)
R = TypeVar("R")

MAX_CACHED_ROWS = 1000
MIN_PAUSE_SECONDS = 0.05
MAX_PAUSE_SECONDS = 0.5


class Copy(Generic[T]):
    """Keeps one row of ``item`` per fact, the newest, whatever the order and number in which events come.

    ``rows`` makes the row of each event (None: nothing to keep). ``revision`` is what only grows from one row of a fact to the
    next; where one row holds several facts, ``merge`` gives the row to write instead (None: nothing is newer). Without either a
    fact never changes, and its row is written unread. ``gone`` gives the key of the row that an event removes. A read may be
    answered from memory for ``cache_seconds``; a process that hears a change forgets what it had."""

    def __init__(
        self,
        item: type[T],
        rows: Mapping[type[Event], Callable[[Any, datetime], T | None]],
        *,
        revision: Callable[[T], Any] | None = None,
        merge: Callable[[T | None, T], T | None] | None = None,
        gone: Mapping[type[Event], Callable[[Any], str]] | None = None,
        cache_seconds: float = 0.0,
    ) -> None:
        self.item = item
        self._rows, self._gone = rows, gone or {}
        self._merge = merge or (_newest(revision) if revision else None)
        self._cache_seconds = cache_seconds
        self._cache: PerStore[LRUCache[tuple[str, str], tuple[float, T | None]]] = PerStore(
            lambda: LRUCache(MAX_CACHED_ROWS)
        )

        async def keep(event: Event, ctx: Context) -> None:
            await self.keep(event, ctx)

        keep.__name__ = f"keep_{item.TABLE.name.replace('-', '_')}"
        self.handler: Handler = keep

    def hears(self, *, channel: str | None = None, lane: str = "") -> list[On]:
        """What keeps it, for the service's declaration."""
        return [on(event, self.handler, channel=channel, lane=lane) for event in (*self._rows, *self._gone)]

    async def get(self, ctx: Context, key: str) -> T | None:
        """The row, at most ``cache_seconds`` old."""
        if not self._cache_seconds:
            return await ctx.get(self.item, key)
        cache, slot, now = self._cache.of(ctx.store), (ctx.table(self.item), key), ctx.now.timestamp()
        read_at, row = cache.get(slot, (0.0, None))
        if ctx.fresh or not 0 <= now - read_at < self._cache_seconds:
            row = await ctx.get(self.item, key)
            cache[slot] = (now, row)
        return row

    async def keep(self, event: Event, ctx: Context) -> bool:
        """Whether the event changed the copy. Raises Conflict if another process was quicker."""
        gone = self._gone.get(type(event))
        if gone is not None:
            self._forget(gone(event), ctx)
            return bool(await ctx.write(ctx.delete(self.item, gone(event))))
        row = self._rows[type(event)](event, ctx.now)
        if row is None:
            return False
        if self._merge is None:
            return bool(await ctx.write(ctx.put(row)))
        return await self.replace(await ctx.get(self.item, _key_of(row)), row, ctx)

    async def replace(self, before: T | None, row: T, ctx: Context) -> bool:
        """Writes ``row`` over the one that was read, if it is newer. Raises Conflict if another process was quicker."""
        new = self._merge(before, row) if self._merge else row
        if new is not None:
            await ctx.save(new if before is None else new.model_copy(update={"version": before.version}), over=before)
        self._forget(_key_of(row), ctx)
        return new is not None

    def _forget(self, key: str, ctx: Context) -> None:
        self._cache.of(ctx.store).pop((ctx.table(self.item), key), None)


def _newest(revision: Callable[[T], Any]) -> Callable[[T | None, T], T | None]:
    return lambda before, row: row if before is None or revision(before) < revision(row) else None


def _key_of(row: Item) -> str:
    (key,) = row.own_key().values()
    return str(key)


async def wait_for_copies(runtime: Runtime, run: Callable[[bool], Awaitable[R]]) -> R:
    """The result of ``run(False)``; while it raises CopyRefusal, of ``run(True)``, which bypasses caches, with growing pauses.
    Raises the refusal of the last run, which begins once ``copy_wait_seconds`` have passed."""
    clock = runtime.clock
    until = clock.now() + timedelta(seconds=runtime.settings.copy_wait_seconds)
    pause, fresh = MIN_PAUSE_SECONDS, False
    while True:
        left = (until - clock.now()).total_seconds()
        try:
            return await run(fresh)
        except CopyRefusal:
            if left <= 0:
                raise
        await clock.sleep(min(pause, left))
        pause, fresh = min(2 * pause, MAX_PAUSE_SECONDS), True
