"""Counting: events that come within a moment of each other are folded into their groups, and these groups and the figures that
they change are written in one transaction. An event that was counted changes nothing, so nothing is written for it.

Nobody adds to a counter: every row is replaced at the version at which it was read, so a transaction that is tried again, or
that another process was ahead of, is seen to be one.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from libs.common import metrics
from libs.common.batcher import Batcher
from libs.common.clock import drawn_id
from libs.common.context import Context
from libs.common.errors import Conflict
from libs.common.item import Item
from libs.common.recent import Recent
from libs.common.spread import shard_for
from libs.common.store.ops import Op, TransactionConflict
from libs.common.store.own import OfStore
from libs.messaging.events.messages import MessageChanged
from services.insights.model import STRIPES, Change, Figures, MessageGroup
from services.insights.periods import By

T = TypeVar("T", bound=Item)

#: How long the first event waits for company (s), and how many go together. A job's come in crowds, and wait longer.
LINGER = 0.02
LINGER_OF_JOBS = 0.25
MOST = 2000
#: Rows of a transaction, and stories in them (some 60 bytes each); DynamoDB takes a hundred rows and 4 MB.
MOST_ROWS, MOST_STORIES = 90, 30_000
TRIES = 12
#: Rows that a process remembers.
GROUPS_REMEMBERED, FIGURES_REMEMBERED = 300, 100
#: Counted in CloudWatch as well, by channel.
TOLD = ("sent", "delivered", "read", "failed", "uncertain", "received")

_Told = tuple[MessageChanged, Context]


@dataclass
class _Desk:
    """Where the events of one process's store come together. One transaction at a time: the next would change the same rows."""

    now: Batcher[_Told, None] = field(default_factory=lambda: Batcher(_send, most=MOST, linger=LINGER, at_once=1))
    soon: Batcher[_Told, None] = field(
        default_factory=lambda: Batcher(_send, most=MOST, linger=LINGER_OF_JOBS, at_once=1)
    )
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    groups: Recent[str, MessageGroup] = field(default_factory=lambda: Recent(GROUPS_REMEMBERED))
    figures: Recent[tuple[str, str], Figures] = field(default_factory=lambda: Recent(FIGURES_REMEMBERED))
    stripe: int = field(default_factory=lambda: _any_stripe())


def _any_stripe() -> int:
    """Drawn: processes know nothing of each other. Figures are read over all stripes, so it shows nowhere."""
    return shard_for(drawn_id(), STRIPES)


_desks = OfStore(_Desk)


async def count(event: MessageChanged, ctx: Context) -> None:
    """Returns once the event is counted, by this or by an earlier delivery."""
    desk = _desks.of(ctx.store)
    await (desk.soon if event.job_id else desk.now).do((event, ctx))


async def _send(told: Sequence[_Told]) -> list[None]:
    ctx = told[0][1]
    # By group, so that a transaction has as few of them as can be.
    events = sorted((event for event, _ in told), key=MessageGroup.id_of)
    desk = _desks.of(ctx.store)
    async with desk.lock:
        while events:
            events = events[await _counted(events, desk, ctx) :]
    return [None] * len(told)


@dataclass
class _Fold:
    """Events folded into rows, as many as fit into a transaction."""

    groups: dict[str, MessageGroup] = field(default_factory=dict)
    moves: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    taken: int = 0
    stories: int = 0

    def take(self, event: MessageChanged, known: MessageGroup) -> bool:
        """False, and nothing is changed, if it does not fit."""
        group = self.groups.get(known.group_id, known)
        changed = group.changed(event)
        if changed is not None:
            news, change = changed
            rows = len(self.groups.keys() | {known.group_id}) + len(self.moves.keys() | change.rows.keys())
            stories = self.stories + (len(news.stories) if known.group_id not in self.groups else 1)
            if (rows > MOST_ROWS or stories > MOST_STORIES) and self.groups:
                return False
            self.stories = stories
            self._add(news, change)
        self.taken += 1
        return True

    def _add(self, group: MessageGroup, change: Change) -> None:
        self.groups[group.group_id] = group
        for row, counts in change.rows.items():
            self.moves[row].update(counts)


async def _counted(events: Sequence[MessageChanged], desk: _Desk, ctx: Context) -> int:
    """Count as many of the first ones as fit; returns how many. Raises Conflict."""
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(0.005 * attempt)
        known = await _groups(events, desk, ctx)
        fold = _Fold()
        for event in events:
            group = known.get(MessageGroup.id_of(event))
            if group is None or not fold.take(event, group):
                break
        # What is remembered was written; a story never unlearns, so what it knows is known.
        if not fold.groups or await _write(fold, desk, ctx):
            return fold.taken
    raise Conflict("the figures kept being changed by others")


async def _groups(events: Sequence[MessageChanged], desk: _Desk, ctx: Context) -> dict[str, MessageGroup]:
    """The groups of the first ``MOST_ROWS`` that are not remembered and of all that come before, as last known."""
    wanted = {MessageGroup.id_of(event): event for event in reversed(events)}
    names = sorted(wanted)[:MOST_ROWS]
    unknown = [name for name in names if name not in desk.groups]
    # One that has expired and is still there is read too: it stands where a new one would be written.
    table = ctx.table(MessageGroup)
    rows = await asyncio.gather(*(ctx.store.get(table, MessageGroup.key(name)) for name in unknown))
    read = {name: MessageGroup.from_row(row) for name, row in zip(unknown, rows, strict=True) if row is not None}
    return {name: desk.groups.get(name) or read.get(name) or _new(MessageGroup.of(wanted[name])) for name in names}


def _new(item: T) -> T:
    """What is not there yet has the version before the first."""
    return item.model_copy(update={"version": -1})


async def _write(fold: _Fold, desk: _Desk, ctx: Context) -> bool:
    """Groups and figures, all or nothing. False: somebody was quicker, and what was remembered is forgotten."""
    moves = {
        row: moved for row, counts in fold.moves.items() if (moved := Counter({k: n for k, n in counts.items() if n}))
    }
    places = {(series, f"{period}#{desk.stripe}"): counts for (series, period), counts in moves.items()}
    unknown = [place for place in places if place not in desk.figures]
    rows = await asyncio.gather(*(ctx.get(Figures, *place) for place in unknown))
    read = {place: row for place, row in zip(unknown, rows, strict=True) if row is not None}
    figures = {
        place: (desk.figures.get(place) or read.get(place) or _new(Figures.empty(*place))).moved(counts)
        for place, counts in places.items()
    }
    items: list[Item] = [*fold.groups.values(), *figures.values()]
    try:
        await ctx.store.transact([_over(item, ctx) for item in items], token=drawn_id())
    except BaseException as error:
        for name in fold.groups:
            desk.groups.pop(name, None)
        for place in figures:
            desk.figures.pop(place, None)
        if isinstance(error, TransactionConflict):
            desk.stripe = _any_stripe()
            return False
        raise
    _keep(fold.groups.values(), figures, desk)
    _tell(moves)
    return True


def _over(item: Item, ctx: Context) -> Op:
    return ctx.insert(item.model_copy(update={"version": 0})) if item.version < 0 else ctx.replace(item)


def _keep(groups: Iterable[MessageGroup], figures: dict[tuple[str, str], Figures], desk: _Desk) -> None:
    for group in groups:
        desk.groups.keep(group.group_id, group.model_copy(update={"version": group.version + 1}))
    for place, row in figures.items():
        desk.figures.keep(place, row.model_copy(update={"version": row.version + 1}))


def metric_of(word: str) -> str:
    """The name in CloudWatch of one of ``TOLD``."""
    return f"messages_{word}"


def _tell(moves: dict[tuple[str, str], Counter[str]]) -> None:
    """CloudWatch sees the same: by how many messages each status of a channel has grown. One that only moved to another hour
    is not told again; one that is taken back cannot be untold."""
    grown: Counter[tuple[str, str]] = Counter()
    for (series, _), counts in moves.items():
        channel, _, by = series.partition("#")
        if by == By.DAY:
            for name, n in counts.items():
                grown[channel, name.partition(".")[2]] += n
    for (channel, word), n in sorted(grown.items()):
        if n > 0 and word in TOLD:
            metrics.count(metric_of(word), n, channel=channel)
