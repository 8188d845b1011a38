"""Counts: events that arrive within a moment of each other are folded into their groups; the groups and the figures
they change are written in one transaction. An event already counted changes nothing and causes no write.

No counter is incremented in place: every row is replaced at the version at which it was read, so a repeated or
concurrent transaction is detected.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cachetools import LRUCache

from libs.common.aws.batcher import Batcher
from libs.common.clock import random_id
from libs.common.errors import Conflict
from libs.common.handle.context import Context
from libs.common.observe import metrics
from libs.common.stable_hash import shard_for
from libs.common.store.item import Item
from libs.common.store.ops import Op, TransactionConflict
from libs.common.store.per_store import PerStore
from libs.messaging.events.messages import MessageChanged
from services.insights.model import SHARDS, Change, Figures, MessageGroup
from services.insights.periods import By

T = TypeVar("T", bound=Item)

#: How long the first event of a batch waits for others (s), and the maximum batch size. Events of a job come in large
#: numbers, and wait longer.
LINGER_SECONDS = 0.02
JOB_LINGER_SECONDS = 0.25
MAX_BATCH_EVENTS = 2000
#: Maximum rows of a transaction, and message histories in them (some 60 bytes each); DynamoDB allows 100 rows and 4 MB.
MAX_ROWS, MAX_HISTORIES = 90, 30_000
MAX_TRIES = 12
#: Maximum rows in a process's cache.
MAX_CACHED_GROUPS, MAX_CACHED_FIGURES = 300, 100
#: Also counted in CloudWatch, by channel.
COUNTED_STATUSES = ("sent", "delivered", "read", "failed", "uncertain", "received")

_Received = tuple[MessageChanged, Context]


@dataclass
class _StoreBatchers:
    """Batches the events of one process's store. One transaction at a time: the next would change the same rows."""

    now: Batcher[_Received, None] = field(
        default_factory=lambda: Batcher(_send, maximum=MAX_BATCH_EVENTS, linger=LINGER_SECONDS, concurrency=1)
    )
    soon: Batcher[_Received, None] = field(
        default_factory=lambda: Batcher(_send, maximum=MAX_BATCH_EVENTS, linger=JOB_LINGER_SECONDS, concurrency=1)
    )
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    groups: LRUCache[str, MessageGroup] = field(default_factory=lambda: LRUCache(MAX_CACHED_GROUPS))
    figures: LRUCache[tuple[str, str], Figures] = field(default_factory=lambda: LRUCache(MAX_CACHED_FIGURES))
    stripe: int = field(default_factory=lambda: _random_shard())


def _random_shard() -> int:
    """Returns a random shard, without coordination between processes. Figures are summed over all shards."""
    return shard_for(random_id(), SHARDS)


_batchers_of = PerStore(_StoreBatchers)


async def count(event: MessageChanged, ctx: Context) -> None:
    """Counts an event; returns once it is counted, by this or by an earlier delivery."""
    batchers = _batchers_of.of(ctx.store)
    await (batchers.soon if event.job_id else batchers.now).do((event, ctx))


async def _send(received: Sequence[_Received]) -> list[None]:
    ctx = received[0][1]
    # Sorted by group, so that a transaction has as few of them as possible.
    events = sorted((event for event, _ in received), key=MessageGroup.id_of)
    batchers = _batchers_of.of(ctx.store)
    async with batchers.lock:
        while events:
            events = events[await _counted(events, batchers, ctx) :]
    return [None] * len(received)


@dataclass
class _Fold:
    """Events folded into rows, as many as fit into a transaction."""

    groups: dict[str, MessageGroup] = field(default_factory=dict)
    moves: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    taken: int = 0
    stories: int = 0

    def take(self, event: MessageChanged, known: MessageGroup) -> bool:
        """Adds an event. Returns False, without a change, if it does not fit."""
        group = self.groups.get(known.group_id, known)
        changed = group.changed(event)
        if changed is not None:
            updated, change = changed
            rows = len(self.groups.keys() | {known.group_id}) + len(self.moves.keys() | change.rows.keys())
            histories = self.stories + (len(updated.stories) if known.group_id not in self.groups else 1)
            if (rows > MAX_ROWS or histories > MAX_HISTORIES) and self.groups:
                return False
            self.stories = histories
            self._add(updated, change)
        self.taken += 1
        return True

    def _add(self, group: MessageGroup, change: Change) -> None:
        self.groups[group.group_id] = group
        for row, counts in change.rows.items():
            self.moves[row].update(counts)


async def _counted(events: Sequence[MessageChanged], batchers: _StoreBatchers, ctx: Context) -> int:
    """Counts as many of the first events as fit; returns how many. Raises Conflict."""
    for attempt in range(MAX_TRIES):
        if attempt:
            await asyncio.sleep(0.005 * attempt)
        known = await _groups(events, batchers, ctx)
        fold = _Fold()
        for event in events:
            group = known.get(MessageGroup.id_of(event))
            if group is None or not fold.take(event, group):
                break
        # Cached rows were written, and a history only grows, so an event in a cached history is counted.
        if not fold.groups or await _write(fold, batchers, ctx):
            return fold.taken
    raise Conflict("the figures kept being changed by others")


async def _groups(events: Sequence[MessageChanged], batchers: _StoreBatchers, ctx: Context) -> dict[str, MessageGroup]:
    """Returns the groups of the first events, as last known: up to ``MAX_ROWS`` that are not cached, and the cached
    ones before them."""
    wanted = {MessageGroup.id_of(event): event for event in reversed(events)}
    names = sorted(wanted)[:MAX_ROWS]
    unknown = [name for name in names if name not in batchers.groups]
    # Also reads an expired row that still exists, because a new one would have the same key.
    table = ctx.table(MessageGroup)
    rows = await asyncio.gather(*(ctx.store.get(table, MessageGroup.key(name)) for name in unknown))
    read = {name: MessageGroup.from_row(row) for name, row in zip(unknown, rows, strict=True) if row is not None}
    return {name: batchers.groups.get(name) or read.get(name) or _new(MessageGroup.of(wanted[name])) for name in names}


def _new(item: T) -> T:
    """Returns a new row, with the version before the first."""
    return item.model_copy(update={"version": -1})


async def _write(fold: _Fold, batchers: _StoreBatchers, ctx: Context) -> bool:
    """Writes groups and figures, atomically. False: another process wrote first, and the cache is cleared."""
    moves = {
        row: moved for row, counts in fold.moves.items() if (moved := Counter({k: n for k, n in counts.items() if n}))
    }
    places = {(series, f"{period}#{batchers.stripe}"): counts for (series, period), counts in moves.items()}
    unknown = [place for place in places if place not in batchers.figures]
    rows = await asyncio.gather(*(ctx.get(Figures, *place) for place in unknown))
    read = {place: row for place, row in zip(unknown, rows, strict=True) if row is not None}
    figures = {
        place: (batchers.figures.get(place) or read.get(place) or _new(Figures.empty(*place))).moved(counts)
        for place, counts in places.items()
    }
    items: list[Item] = [*fold.groups.values(), *figures.values()]
    try:
        await ctx.store.transact([_over(item, ctx) for item in items], token=random_id())
    except BaseException as error:
        for name in fold.groups:
            batchers.groups.pop(name, None)
        for place in figures:
            batchers.figures.pop(place, None)
        if isinstance(error, TransactionConflict):
            batchers.stripe = _random_shard()
            return False
        raise
    _keep(fold.groups.values(), figures, batchers)
    _count_metrics(moves)
    return True


def _over(item: Item, ctx: Context) -> Op:
    return ctx.insert(item.model_copy(update={"version": 0})) if item.version < 0 else ctx.replace(item)


def _keep(groups: Iterable[MessageGroup], figures: dict[tuple[str, str], Figures], batchers: _StoreBatchers) -> None:
    for group in groups:
        batchers.groups[group.group_id] = group.model_copy(update={"version": group.version + 1})
    for place, row in figures.items():
        batchers.figures[place] = row.model_copy(update={"version": row.version + 1})


def metric_of(status: str) -> str:
    """Returns the name in CloudWatch of one of ``COUNTED_STATUSES``."""
    return f"messages_{status}"


def _count_metrics(moves: dict[tuple[str, str], Counter[str]]) -> None:
    """Publishes to CloudWatch by how many messages each status of a channel has grown. A move to another hour is not
    published again; a decrease cannot be published."""
    grown: Counter[tuple[str, str]] = Counter()
    for (series, _), counts in moves.items():
        channel, _, by = series.partition("#")
        if by == By.DAY:
            for name, n in counts.items():
                grown[channel, name.partition(".")[2]] += n
    for (channel, status), n in sorted(grown.items()):
        if n > 0 and status in COUNTED_STATUSES:
            metrics.count(metric_of(status), n, channel=channel)
