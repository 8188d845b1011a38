"""Searches dead letters. The index itself contains time, cause, queue, type and channel of each dead letter, so lists,
counts and selections read rows only for a text search; every query is bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from libs.common.clock import Timestamp, iso
from libs.common.declare.wire import Body
from libs.common.errors import Problem
from libs.common.handle.context import Context, Page
from libs.common.store.ops import BadCursor, Query
from libs.messaging.channels import Channel
from services.dlq_replay.model import SHARDS, Cause, DLQMessage, Slot, State, plain, slot_of

#: Sorts after every stored time.
LAST = "9"
#: Maximum index entries read by one query; beyond it, a list continues with its cursor and a count is a lower bound.
MAX_ROWS_SCANNED = 20_000
#: Maximum rows read by one query for a text search.
MAX_ROWS_READ = 2_000


class Filter(Body):
    """A filter; all given conditions must hold. ``queue`` with or without the prefix of the stage; ``text`` is searched
    in the event, the exception's text and the ids, case-insensitively."""

    state: State = State.WAITING
    queue: str | None = Field(default=None, min_length=1, max_length=120)
    event_type: str | None = Field(default=None, min_length=1, max_length=120)
    channel: Channel | None = None
    cause: Cause | None = None
    #: Time of the last failure: not before, not after.
    since: Timestamp | None = None
    until: Timestamp | None = None
    text: str | None = Field(default=None, min_length=2, max_length=200)

    def fits(self, slot: Slot, prefix: str) -> bool:
        """Whether the index fields match."""
        wanted = ((self.cause, slot.cause), (self.event_type, slot.event_type), (self.channel, slot.channel))
        if any(value is not None and plain(value) != has for value, has in wanted):
            return False
        return self.queue is None or slot.queue in (self.queue, f"{prefix}-{self.queue}")

    def fits_row(self, dead_letter: DLQMessage) -> bool:
        """Whether the row matches: the index lags behind it, and does not contain the text."""
        if dead_letter.state is not self.state:
            return False
        if self.text is None:
            return True
        ids = (
            dead_letter.dlq_message_id,
            dead_letter.event_id,
            dead_letter.correlation_id,
            dead_letter.message_id,
            dead_letter.contact_id,
        )
        texts = (dead_letter.edited_body or dead_letter.body, dead_letter.exception, dead_letter.text, *ids)
        return any(self.text.casefold() in text.casefold() for text in texts if text)


@dataclass
class _Shard:
    """Reads the index entries of one key, page by page."""

    place: str
    wanted: Filter
    newest_first: bool
    after: str | None
    page: int
    slots: deque[str] = field(default_factory=deque)
    cursor: str | None = None
    begun: bool = False

    async def fill(self, ctx: Context) -> None:
        low, high = self._between()
        if low > high:
            return  # DynamoDB rejects such a query
        while not self.slots and (self.cursor or not self.begun):
            self.begun = True
            rows = await ctx.store.query(
                Query(
                    table=ctx.table(DLQMessage),
                    hash=("place", self.place),
                    index="by-place",
                    sort="slot",
                    between=(low, high),
                    limit=self.page,
                    cursor=self.cursor,
                    newest_first=self.newest_first,
                )
            )
            self.cursor = rows.cursor
            self.slots.extend(row["slot"] for row in rows.rows if row["slot"] != self.after)

    def _between(self) -> tuple[str, str]:
        low = iso(self.wanted.since) if self.wanted.since else "0"
        # A slot begins with its time; ``~`` sorts after anything that follows.
        high = iso(self.wanted.until) + "~" if self.wanted.until else LAST
        if self.after is None:
            return low, high
        return (low, min(high, self.after)) if self.newest_first else (max(low, self.after), high)


async def walk(
    ctx: Context, wanted: Filter, *, newest_first: bool = True, after: str | None = None, page: int = 100
) -> AsyncIterator[tuple[str, Slot]]:
    """Yields every index entry of the filter's state and time, in the order of time."""
    places = [slot_of(wanted.state, shard) for shard in range(SHARDS)]
    shards = [_Shard(place, wanted, newest_first, after, page) for place in places]
    await asyncio.gather(*(shard.fill(ctx) for shard in shards))
    pick = max if newest_first else min
    while live := [shard for shard in shards if shard.slots]:
        best = pick(live, key=lambda shard: shard.slots[0])
        text = best.slots.popleft()
        yield text, Slot.parse(text)
        if not best.slots:
            await best.fill(ctx)


async def list_letters(ctx: Context, wanted: Filter, limit: int, cursor: str | None) -> Page[DLQMessage]:
    """Returns one page, newest first; it may be short and still have a cursor. Raises BadCursor."""
    if cursor is not None:
        try:
            Slot.parse(cursor)
        except ValueError:
            raise BadCursor(cursor) from None
    found: list[DLQMessage] = []
    candidates: list[str] = []
    looked, read, last = 0, 0, cursor
    async for text, slot in walk(ctx, wanted, after=cursor, page=min(limit, 100)):
        looked, last = looked + 1, text
        if wanted.fits(slot, ctx.settings.prefix):
            candidates.append(slot.dlq_message_id)
        if len(candidates) == limit - len(found):
            read += len(candidates)
            found += [row for row in await rows(ctx, candidates) if wanted.fits_row(row)]
            candidates = []
        if len(found) == limit or looked >= MAX_ROWS_SCANNED or read >= MAX_ROWS_READ:
            break
    else:
        last = None
    found += [row for row in await rows(ctx, candidates) if wanted.fits_row(row)]
    return Page(found, last)


async def rows(ctx: Context, ids: Sequence[str]) -> list[DLQMessage]:
    """Returns the existing dead letters, in this order."""
    found = await asyncio.gather(*(ctx.get(DLQMessage, each) for each in ids))
    return [row for row in found if row is not None]


async def dead_letter_by_id(ctx: Context, dlq_message_id: str) -> DLQMessage:
    """Returns the dead letter. Raises Problem 404."""
    found = await ctx.get(DLQMessage, dlq_message_id)
    if found is None:
        raise Problem(404, "LETTER_NOT_FOUND", "There is no such letter", "Letters are kept for seven days.")
    return found


async def select(ctx: Context, wanted: Filter, limit: int) -> list[str]:
    """Returns the ids of the first ``limit`` matching dead letters, earliest failure first. Raises Problem TOO_BROAD if
    a text search would read too many rows."""
    ids: list[str] = []
    looked = 0
    async for _, slot in walk(ctx, wanted, newest_first=False, page=min(limit, 1000)):
        looked += 1
        if wanted.fits(slot, ctx.settings.prefix):
            ids.append(slot.dlq_message_id)
        if looked >= MAX_ROWS_SCANNED or (wanted.text is None and len(ids) == limit):
            break
    if wanted.text is None:
        return ids
    if len(ids) > MAX_ROWS_READ:
        errors = [
            {"field": "filter.text", "detail": f"{len(ids)} letters would have to be read; narrow the filter first."}
        ]
        raise Problem(422, "TOO_BROAD", "The text would have to be looked for in too many letters", "", errors)
    return [row.dlq_message_id for row in await rows(ctx, ids) if wanted.fits_row(row)][:limit]


@dataclass
class Group:
    """Dead letters of the same cause and type; times are those of the last failure."""

    cause: str
    event_type: str
    count: int = 0
    oldest: str = ""
    newest: str = ""
    queues: dict[str, int] = field(default_factory=dict)


async def groups(ctx: Context, wanted: Filter) -> tuple[list[Group], bool]:
    """Returns the groups, the largest first, counted from the index itself; False: there are more dead letters than
    were counted."""
    found: dict[tuple[str, str], Group] = {}
    looked = 0
    async for _, slot in walk(ctx, wanted, page=1000):
        looked += 1
        if looked > MAX_ROWS_SCANNED:
            break
        if wanted.fits(slot, ctx.settings.prefix):
            group = found.setdefault((slot.cause, slot.event_type), Group(slot.cause, slot.event_type))
            group.count += 1
            group.oldest = slot.died_at
            group.newest = group.newest or slot.died_at
            group.queues[slot.queue] = group.queues.get(slot.queue, 0) + 1
    return sorted(found.values(), key=lambda group: -group.count), looked <= MAX_ROWS_SCANNED
