"""Rates: a sender's messages per second, and messages to one person, over all workers together.

A sender's time is a grid of slots, one per unit. A row holds the time up to which slots are taken; a worker reserves as many
as it has messages at hand (and about a second's worth more when it is busy) with one conditional write, and uses each at
its time. A slot whose time has passed is lost, so no window ever holds more than its share. Whoever cannot write the row
does not send.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from libs.common.clock import Clock
from libs.common.handle.context import Context
from libs.common.store.item import Item, Table
from libs.common.store.ops import When
from libs.messaging.settings import Identity
from libs.messaging.vocabulary import MessageClass

#: The grid runs this much below the limit and a slot may be used this late (s): 1.02 s x 0.98 is one limit, never more.
PACE_FACTOR = 0.98
MAX_LATE_SECONDS = 0.02
#: A slot is handed out this long before its time: the claim is written in between.
LEAD_SECONDS = 0.05
#: How long bulk steps back while a code or an answer waits (s).
YIELD_SECONDS = 0.05
#: Longest wait inside a handler; whoever would wait longer is requeued.
MAX_WAIT_SECONDS = 2.0
#: Others write the same row; each refusal tells where it stands.
MAX_TRIES = 20
#: How far ahead a class may reserve (s): a code never waits behind more than half a second of bulk.
HORIZON_SECONDS = {
    MessageClass.OTP: 2.0,
    MessageClass.TRANSACTIONAL: 1.0,
    MessageClass.REPLY: 1.0,
    MessageClass.BULK: 0.5,
}
ROW_RETENTION = timedelta(hours=24)


@dataclass(frozen=True)
class Limits:
    """What a provider allows one sender. ``pair_seconds`` 0: no limit per recipient; ``pair_burst`` messages may be
    borrowed from the future. ``by_kind`` overrides ``per_second`` for kinds of senders, a sender's own setting both."""

    per_second: float
    pair_seconds: float = 0.0
    pair_burst: int = 1
    shards: int = 1
    in_flight: int = 400
    failures: int = 5
    by_kind: Mapping[str, float] = field(default_factory=dict)
    #: The limit is the account's: all senders stand in one line.
    shared: bool = False

    def of(self, identity: Identity) -> Limits:
        if self.shared:
            return self
        rate = identity.per_second or self.by_kind.get(identity.kind, self.per_second)
        return replace(self, per_second=rate)


#: Limits that are the provider's to tell. Raises Later while they are not known: who knows no limit does not send.
LimitsFromProvider = Callable[[Context], Awaitable[Limits]]


class RateLimitTracker(Item):
    """``next`` is a time in µs since 1970: of the next free slot of a sender's shard, or when a pair is idle again."""

    TABLE: ClassVar[Table] = Table("rates", key="id", ttl="expiresAt")

    id: str
    next: int
    expires_at: int


class NoSlot(Exception):
    """No slot within the patience; ``seconds`` says when to look again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no slot for {seconds:.1f} s")
        self.seconds = seconds


@dataclass(frozen=True)
class SlotGrid:
    """Slots of one shard: number ``n`` of shard ``s`` is at ``(n * shards + s) / rate`` seconds since 1970."""

    rate: float
    shard: int = 0
    shards: int = 1

    def at(self, slot: int) -> float:
        return (slot * self.shards + self.shard) / self.rate

    def first(self, moment: float) -> int:
        """The first slot not before ``moment``."""
        # Times are kept in whole µs; what was rounded up by one must not cost a slot.
        return math.ceil((moment * self.rate - self.shard) / self.shards - 0.01)


class SlotLease:
    """One process's end of a sender's line (one shard of it). ``take`` gives the time of a slot, seconds since 1970."""

    def __init__(self, key: str, grid: SlotGrid, clock: Clock) -> None:
        self._key = key
        self._grid = grid
        self._clock = clock
        #: The row as last seen (µs); others can only have moved it further.
        self._known: int | None = None
        self._held: deque[float] = deque()
        self._lock = asyncio.Lock()
        #: Units that wait here, by horizon.
        self._waiting: Counter[float] = Counter()
        #: When to look again, by horizon.
        self._retry_at: dict[float, float] = {}
        self._recent: deque[tuple[float, float]] = deque(maxlen=512)

    async def take(self, units: int, horizon: float, ctx: Context, lead: float = LEAD_SECONDS) -> float:
        """The moment at which ``units`` may go out, at least ``lead`` from now. Waits a little if it must; raises
        :class:`NoSlot` when the line is full beyond that, and whatever the store raises."""
        give_up = self._now() + MAX_WAIT_SECONDS
        self._waiting[horizon] += units
        try:
            while True:
                slot, free = await self._try(units, horizon, ctx, lead)
                if slot is not None:
                    self._recent.append((slot, horizon))
                    return slot
                now = self._now()
                pause = max(0.005, self._retry_at.get(horizon, 0.0) - now, free - horizon - now)
                if now + pause > give_up:
                    raise NoSlot(pause + self._waiting.total() / self._grid.rate)
                await self._clock.sleep(pause)
        finally:
            self._waiting[horizon] -= units

    async def _try(self, units: int, horizon: float, ctx: Context, lead: float) -> tuple[float | None, float]:
        """The time of a slot; else None and when one may come within the horizon."""
        if any(count for other, count in self._waiting.items() if other > horizon):
            # Who may reach further ahead goes first.
            return None, self._now() + horizon + YIELD_SECONDS
        async with self._lock:
            if len(self._usable(lead)) < units:
                await self._lease(max(units, self._wanted(horizon)), units, horizon, ctx, lead)
            if len(self._held) < units:
                return None, (self._known or 0) / 1e6
            if self._held[0] > self._now() + lead + horizon:
                # Reserved by one who may reach further, and left; it is not lost, it is only early.
                return None, self._held[0]
            return [self._held.popleft() for _ in range(units)][-1], 0.0

    def _usable(self, lead: float) -> deque[float]:
        """What is held and can still be used."""
        earliest = self._now() + lead - MAX_LATE_SECONDS
        while self._held and self._held[0] < earliest:
            self._held.popleft()
        return self._held

    def _wanted(self, horizon: float) -> int:
        """Slots for all who wait here and may reach as far, or for as many of those as came by in the last second: they
        will come again. For nobody else, or bulk would find a line that is full as far as a code may reach."""
        since = self._now() - 1.0
        waiting = sum(count for other, count in self._waiting.items() if other >= horizon)
        return max(waiting, sum(1 for at, other in self._recent if at >= since and other >= horizon))

    async def _lease(self, wanted: int, least: int, horizon: float, ctx: Context, lead: float) -> None:
        """Reserve up to ``wanted`` slots, as far as the horizon reaches; none if not even ``least`` begin within it."""
        now = self._now()
        if now < self._retry_at.get(horizon, 0.0):
            return
        # Not at each slot that gets free: all workers wait for it, and a few at once cost one write.
        self._retry_at[horizon] = now + horizon / 4
        for _ in range(MAX_TRIES):
            earliest = self._now() + lead
            first = self._grid.first(max((self._known or 0) / 1e6, earliest))
            if self._grid.at(first) > earliest + horizon and self._known is not None:
                return
            fit = self._grid.first(earliest + horizon) - first
            # No more than half of what the horizon holds at once: other workers want some, and a worker may die.
            count = min(wanted, max(fit, least), max(least, int(self._grid.rate * horizon / 2)))
            if await self._reserve(round(self._grid.at(first + count) * 1e6), ctx):
                self._held.extend(self._grid.at(slot) for slot in range(first, first + count))
                if count == wanted:
                    del self._retry_at[horizon]
                return
        raise NoSlot(0.1)

    async def _reserve(self, until: int, ctx: Context) -> bool:
        """Move the row on from where we know it to be; if others moved it, learn where it is."""
        expires = int((ctx.now + ROW_RETENTION).timestamp())
        if self._known is None:
            row = RateLimitTracker(id=self._key, next=until, expires_at=expires)
            written = await ctx.write(ctx.insert(row))
        else:
            when = (When("next", "=", self._known),)
            change = {"next": until, "expiresAt": expires}
            written = await ctx.write(ctx.update(RateLimitTracker, self._key, set=change, when=when))
        if written:
            self._known = until
        else:
            self._known = int(written.row["next"]) if written.row else None
        return bool(written)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def pair_wait(idle_at: int | None, now: int, every: int, burst: int) -> tuple[int, int]:
    """The pair rate (GCRA), all in µs: ``(wait, new idle_at)``. Up to ``burst`` messages at once borrow from the future."""
    due = max(idle_at or 0, now)
    return max(0, due - (burst - 1) * every - now), due + every


async def take_pair(key: str, limits: Limits, ctx: Context) -> datetime | None:
    """Count a message to one person. None: go ahead; else not before that time (and nothing was counted)."""
    known: int | None = None
    while True:
        now = int(ctx.now.timestamp() * 1e6)
        wait, new = pair_wait(known, now, int(limits.pair_seconds * 1e6), limits.pair_burst)
        if wait:
            return datetime.fromtimestamp((now + wait) / 1e6, UTC)
        expires = int((ctx.now + ROW_RETENTION).timestamp())
        if known is None:
            written = await ctx.write(ctx.insert(RateLimitTracker(id=key, next=new, expires_at=expires)))
        else:
            change = {"next": new, "expiresAt": expires}
            update = ctx.update(RateLimitTracker, key, set=change, when=(When("next", "=", known),))
            written = await ctx.write(update)
        if written:
            return None
        known = int(written.row["next"]) if written.row else None
