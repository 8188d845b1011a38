"""Rate limits across all workers: a sender's messages per second, and messages to one recipient.

A sender's time is a grid of slots, one per unit. A row holds the time up to which slots are reserved. A worker reserves as
many slots as it has messages waiting (and about a second's worth more when it is busy) with one conditional write, and uses
each slot at its time. A slot whose time has passed is discarded, so no window exceeds the rate. A worker that cannot write
the row does not send.
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
#: A slot is given out at least this long before its time.
LEAD_SECONDS = 0.02
#: How long bulk waits while an OTP or a reply waits for a slot.
YIELD_SECONDS = 0.05
#: Maximum wait inside a handler; a message that would wait longer is requeued.
MAX_WAIT_SECONDS = 2.0
#: Other workers write the same row; each refused write returns the row as it is.
MAX_TRIES = 20
#: How far ahead a class may reserve: an OTP never waits behind more than half a second of bulk.
HORIZON_SECONDS = {
    MessageClass.OTP: 2.0,
    MessageClass.TRANSACTIONAL: 1.0,
    MessageClass.REPLY: 1.0,
    MessageClass.BULK: 0.5,
}
ROW_RETENTION = timedelta(hours=24)


@dataclass(frozen=True)
class Limits:
    """What a provider allows one sender. ``pair_seconds`` 0: no limit per recipient; ``pair_burst`` messages may be sent at
    once. ``by_kind`` overrides ``per_second`` for kinds of senders; a sender's own setting overrides both."""

    per_second: float
    pair_seconds: float = 0.0
    pair_burst: int = 1
    shards: int = 1
    in_flight: int = 400
    failures: int = 5
    by_kind: Mapping[str, float] = field(default_factory=dict)
    #: The limit is the account's: all senders share its slots.
    shared: bool = False

    def of(self, identity: Identity) -> Limits:
        if self.shared:
            return self
        rate = identity.per_second or self.by_kind.get(identity.kind, self.per_second)
        return replace(self, per_second=rate)


#: Limits that the provider reports. Raises RetryLater while they are not known; nothing is sent without a known limit.
LimitsFromProvider = Callable[[Context], Awaitable[Limits]]


class RateLimitTracker(Item):
    """``next`` is a time in µs since 1970: of the next free slot of a sender's shard, or from when a pair is not limited."""

    TABLE: ClassVar[Table] = Table("rates", key="id", ttl="expiresAt")

    id: str
    next: int
    expires_at: int


class NoSlot(Exception):
    """No slot within the maximum wait; ``seconds`` says when to try again."""

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
        # Times are kept in whole µs; a time that was rounded up by one must not cost a slot.
        return math.ceil((moment * self.rate - self.shard) / self.shards - 0.01)


class SlotLease:
    """One process's reserved slots of one shard of a sender. ``take`` gives the time of a slot, seconds since 1970."""

    def __init__(self, key: str, grid: SlotGrid, clock: Clock) -> None:
        self._key = key
        self._grid = grid
        self._clock = clock
        #: ``next`` as last read (µs); other workers only increase it.
        self._known: int | None = None
        self._held: deque[float] = deque()
        self._lock = asyncio.Lock()
        #: Units that wait here, by horizon.
        self._waiting: Counter[float] = Counter()
        #: When to try again, by horizon.
        self._retry_at: dict[float, float] = {}
        self._recent: deque[tuple[float, float]] = deque(maxlen=512)

    async def take(self, units: int, horizon: float, ctx: Context, lead: float = LEAD_SECONDS) -> float:
        """The time at which ``units`` may be sent, at least ``lead`` seconds from now. Waits at most
        :data:`MAX_WAIT_SECONDS`; raises :class:`NoSlot` beyond that, and whatever the store raises."""
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
        """The time of a slot; else None and the time at which one may be free."""
        if any(count for other, count in self._waiting.items() if other > horizon):
            # A class with a longer horizon goes first.
            return None, self._now() + horizon + YIELD_SECONDS
        async with self._lock:
            if len(self._usable(lead)) < units:
                await self._lease(max(units, self._wanted(horizon)), units, horizon, ctx, lead)
            if len(self._held) < units:
                return None, (self._known or 0) / 1e6
            if self._held[0] > self._now() + lead + horizon:
                # Reserved for a class with a longer horizon and not used; it is not lost, it is only early.
                return None, self._held[0]
            return [self._held.popleft() for _ in range(units)][-1], 0.0

    def _usable(self, lead: float) -> deque[float]:
        """The reserved slots that can still be used."""
        earliest = self._now() + lead - MAX_LATE_SECONDS
        while self._held and self._held[0] < earliest:
            self._held.popleft()
        return self._held

    def _wanted(self, horizon: float) -> int:
        """How many slots to reserve: one for each waiting message with at least this horizon, or as many as such messages
        used in the last second, because as many are expected next. Messages with a shorter horizon do not count: otherwise
        bulk would find everything reserved as far ahead as an OTP may reserve."""
        since = self._now() - 1.0
        waiting = sum(count for other, count in self._waiting.items() if other >= horizon)
        return max(waiting, sum(1 for at, other in self._recent if at >= since and other >= horizon))

    async def _lease(self, wanted: int, least: int, horizon: float, ctx: Context, lead: float) -> None:
        """Reserves up to ``wanted`` slots within the horizon; none if fewer than ``least`` begin within it."""
        now = self._now()
        if now < self._retry_at.get(horizon, 0.0):
            return
        # Not for each slot that becomes free: all workers wait for it, and several slots cost one write.
        self._retry_at[horizon] = now + horizon / 4
        for _ in range(MAX_TRIES):
            earliest = self._now() + lead
            first = self._grid.first(max((self._known or 0) / 1e6, earliest))
            if self._grid.at(first) > earliest + horizon and self._known is not None:
                return
            fit = self._grid.first(earliest + horizon) - first
            # At most half of the horizon at once: other workers need slots, and slots of a killed worker are lost.
            count = min(wanted, max(fit, least), max(least, int(self._grid.rate * horizon / 2)))
            if await self._reserve(round(self._grid.at(first + count) * 1e6), ctx):
                self._held.extend(self._grid.at(slot) for slot in range(first, first + count))
                if count == wanted:
                    del self._retry_at[horizon]
                return
        raise NoSlot(0.1)

    async def _reserve(self, until: int, ctx: Context) -> bool:
        """Moves ``next`` on from the value last read; if another worker moved it first, keeps the new value."""
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
    """The pair rate (GCRA), all in µs: ``(wait, new idle_at)``. Up to ``burst`` messages may be sent at once."""
    due = max(idle_at or 0, now)
    return max(0, due - (burst - 1) * every - now), due + every


async def take_pair(key: str, limits: Limits, ctx: Context) -> datetime | None:
    """Counts a message to one recipient. None: it may be sent; else not before that time, and nothing was counted."""
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
