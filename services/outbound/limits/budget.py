"""A WhatsApp portfolio's messaging limit: so many different people outside their 24-hour window in a moving 24 hours
(Meta, "Messaging limits": 250, then 2,000, 10,000, 100,000, unlimited).

Counted without counting twice: a person's row says in which hour they were last counted; a shard's row says how many are
counted in each hour. A worker reserves a few slots of a shard at once, by a write conditional on the version that it read, and
then inserts people's rows against them; slots that it never uses expire unused. So the count can be too high by a few, never
too low. An hour leaves the count when all of it is more than 24 hours old.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import structlog
from pydantic import Field

from libs.common.declare.service import TickAction
from libs.common.errors import Conflict
from libs.common.handle.compare_and_swap import compare_and_swap
from libs.common.handle.context import Context
from libs.common.stable_hash import shard_for
from libs.common.store.item import Item, Table
from libs.common.store.ops import Store, Write
from libs.messaging.channels import Channel
from libs.messaging.events.outbound import BudgetCounted, BudgetNoticed
from libs.messaging.setting_copy import in_force
from libs.messaging.settings import DEFAULT_PORTFOLIO
from libs.messaging.vocabulary import MessageClass, Purpose

HOUR_SECONDS = 3600
#: Hours that overlap the last 24: the current one, 23 whole ones and the rest of the oldest.
WINDOW_HOURS = 25
#: Reserved for OTPs, transactional messages and replies; bulk and marketing do not use it.
RESERVED_SHARE = 0.1
NOTICE_PERCENT = (100, 80)
WATCH_SECONDS = 60
#: DynamoDB allows 1,000 writes a second on one row and ours must not see more than 200: below this limit one row is enough.
_MIN_SHARDED_LIMIT, _SHARDS, _MAX_LEASE = 2000, 8, 50
_MAX_TRIES = 20

log = structlog.get_logger()


class BudgetCount(Item):
    """One shard: people by the hour (since 1970) in which they were last counted."""

    TABLE: ClassVar[Table] = Table("budget-count", key="id", ttl="expiresAt")

    id: str
    hours: dict[str, int] = Field(default_factory=dict)
    expires_at: int

    def used(self, hour: int) -> int:
        return sum(count for at, count in self.hours.items() if int(at) > hour - WINDOW_HOURS)

    def frees_at(self, hour: int) -> datetime:
        """When the oldest hour leaves the count."""
        oldest = min((int(at) for at, n in self.hours.items() if n and int(at) > hour - WINDOW_HOURS), default=hour)
        return datetime.fromtimestamp((oldest + WINDOW_HOURS) * HOUR_SECONDS, UTC)

    def shifted(self, hour: int, by: dict[int, int]) -> BudgetCount:
        hours = {at: count for at, count in self.hours.items() if int(at) > hour - WINDOW_HOURS}
        for at, n in by.items():
            hours[str(at)] = max(0, hours.get(str(at), 0) + n)
        return self.model_copy(update={"hours": hours, "expires_at": (hour + 2 * WINDOW_HOURS) * HOUR_SECONDS})


class BudgetMark(Item):
    """In which hour, in which shard a person was last counted. The key is the contact's id; in a portfolio that the settings
    name, ``<portfolio>#<id>``."""

    TABLE: ClassVar[Table] = Table("budget-mark", key="contactId", ttl="expiresAt")

    contact_id: str
    hour: int
    shard: int
    expires_at: int


@dataclass
class _Held:
    """Slots of one shard that this process has reserved and not used."""

    hour: int = 0
    places: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


def _shares(limit: int, common: bool = False) -> list[int]:
    """How many slots each shard has; ``common``: how many of them bulk may use."""
    shards = 1 if limit < _MIN_SHARDED_LIMIT else _SHARDS
    shares = [limit // shards + (1 if shard < limit % shards else 0) for shard in range(shards)]
    return [_common(share) for share in shares] if common else shares


def _common(share: int) -> int:
    return int(share * (1 - RESERVED_SHARE))


class Budget:
    """The budget of one portfolio of a channel, by its name in the settings."""

    def __init__(self, channel: Channel, portfolio: str = DEFAULT_PORTFOLIO) -> None:
        self._channel = channel
        self._portfolio = portfolio
        self._held: WeakKeyDictionary[Store, dict[int, _Held]] = WeakKeyDictionary()
        self._limit = 0

    async def take(
        self, contact_id: str, message_class: MessageClass, purpose: Purpose, ctx: Context
    ) -> datetime | None:
        """Count the person. None: go ahead; else there is no place before that time."""
        limit = (await in_force(ctx)).whatsapp_limits[self._portfolio]
        if not limit:
            return None
        if limit != self._limit:
            # Slots that were reserved under another limit may exceed this one; they expire unused.
            self._held.pop(ctx.store, None)
            self._limit = limit
        low = message_class is MessageClass.BULK or purpose is Purpose.MARKETING
        person = contact_id if self._portfolio == DEFAULT_PORTFOLIO else f"{self._portfolio}#{contact_id}"
        mark = await ctx.get(BudgetMark, person)
        for _ in range(_MAX_TRIES):
            hour = int(ctx.now.timestamp()) // HOUR_SECONDS
            if mark is not None and mark.hour == hour:
                return None
            if mark is not None and mark.hour > hour - WINDOW_HOURS:
                found = await self._moved(mark, hour, ctx)
            else:
                slot = await self._place(person, limit, low, hour, ctx)
                if isinstance(slot, datetime):
                    return slot
                found = await self._marked(mark, person, hour, slot, ctx)
            if found is None:
                return None
            mark = found
        raise Conflict("other workers kept counting the person")

    async def used(self, ctx: Context) -> int:
        return sum(await self._used(ctx))

    async def _used(self, ctx: Context) -> list[int]:
        """By shard."""
        hour = int(ctx.now.timestamp()) // HOUR_SECONDS
        rows = await asyncio.gather(*(ctx.get(BudgetCount, self._key(shard)) for shard in range(_SHARDS)))
        return [row.used(hour) if row is not None else 0 for row in rows]

    async def _elsewhere(self, shards: int, ctx: Context) -> int:
        """What is counted in shards that the limit does not have now, because it was higher within the last 24 hours."""
        return sum((await self._used(ctx))[shards:]) if shards < _SHARDS else 0

    async def watch(self, ctx: Context) -> AsyncIterator[TickAction]:
        """Publishes the count when it has changed, and a notice at 80 % and at 100 % of the limit, each once a day."""
        limit = (await in_force(ctx)).whatsapp_limits[self._portfolio]
        if not limit:
            return
        by_shard = await self._used(ctx)
        used = sum(by_shard)
        shares = _shares(limit, True)
        left = sum(max(0, share - n) for share, n in zip(shares, by_shard, strict=False))
        left = max(0, left - sum(by_shard[len(shares) :]))
        stands: dict[str, Any] = {
            "channel": self._channel, "portfolio": self._portfolio, "used": used, "limit": limit, "at": ctx.now,
        }  # fmt: skip
        counted = BudgetCounted(left_for_bulk=left, **stands)
        yield TickAction(f"{self._portfolio}#{int(ctx.now.timestamp()) // HOUR_SECONDS}#{used}#{limit}", (), (counted,))
        for percent in NOTICE_PERCENT:
            if used * 100 >= percent * limit:
                log.warning("messaging limit", portfolio=self._portfolio, used=used, limit=limit)
                notice = BudgetNoticed(percent=percent, **stands)
                yield TickAction(f"{self._portfolio}#{ctx.now:%Y-%m-%d}#{percent}", (), (notice,))
                return

    async def _moved(self, mark: BudgetMark, hour: int, ctx: Context) -> BudgetMark | None:
        """Moves a person who is counted already to this hour. Until the mark is written they count in both hours, never in
        none."""
        await self._shift(mark.shard, hour, {hour: 1}, ctx)
        found = await self._marked(mark, mark.contact_id, hour, mark.shard, ctx, give_back=False)
        await self._shift(mark.shard, hour, {mark.hour if found is None else hour: -1}, ctx)
        return found

    async def _marked(
        self, mark: BudgetMark | None, person: str, hour: int, shard: int, ctx: Context, give_back: bool = True
    ) -> BudgetMark | None:
        """Writes the person's row. None: written; else another worker counted them, and this is its row."""
        new = BudgetMark(
            contact_id=person, hour=hour, shard=shard, expires_at=(hour + 2 * WINDOW_HOURS) * HOUR_SECONDS, version=1
        )
        written = await ctx.write(ctx.upsert(new, mark))
        if written:
            return None
        if give_back:
            held = self._of(shard, ctx)
            held.places += 1 if held.hour == hour else 0
        if written.row is None:
            raise Conflict("the person's row is gone")
        return BudgetMark.from_row(written.row)

    async def _place(self, person: str, limit: int, low: bool, hour: int, ctx: Context) -> int | datetime:
        """A shard with a free slot, or the time at which there may be one."""
        shares = _shares(limit)
        shards = len(shares)
        shares[0] -= await self._elsewhere(shards, ctx)
        first = shard_for(person, shards)
        frees: list[datetime] = []
        for n in range(shards):
            shard = (first + n) % shards
            full = await self._lease(shard, shares[shard], low, hour, ctx)
            if full is None:
                return shard
            frees.append(full)
        return min(frees)

    async def _lease(self, shard: int, share: int, low: bool, hour: int, ctx: Context) -> datetime | None:
        """One place of this shard: of those held, else of a few more that are taken for this hour. A time: it is full."""
        held = self._of(shard, ctx)
        async with held.lock:
            if held.hour != hour:
                held.hour, held.places = hour, 0
            if held.places:
                held.places -= 1
                return None

            def leased(row: BudgetCount | None) -> tuple[Write | None, int | datetime]:
                stands = row or self._empty(shard)
                common = _common(share) - stands.used(hour)
                # The reserve is taken one by one, so that nothing of it is held for bulk to find.
                wanted = min(max(1, min(_MAX_LEASE, share // 100)), max(common, 1))
                if stands.used(hour) + wanted > share or (low and common < 1):
                    return None, stands.frees_at(hour)
                return ctx.upsert(stands.shifted(hour, {hour: wanted}), row), wanted

            found = await compare_and_swap(ctx, BudgetCount, (self._key(shard),), leased)
            if isinstance(found, datetime):
                return found
            held.places += found - 1
            return None

    async def _shift(self, shard: int, hour: int, by: dict[int, int], ctx: Context) -> None:
        def shifted(row: BudgetCount | None) -> tuple[Write, None]:
            return ctx.upsert((row or self._empty(shard)).shifted(hour, by), row), None

        await compare_and_swap(ctx, BudgetCount, (self._key(shard),), shifted)

    def _empty(self, shard: int) -> BudgetCount:
        return BudgetCount(id=self._key(shard), expires_at=0, version=1)

    def _of(self, shard: int, ctx: Context) -> _Held:
        return self._held.setdefault(ctx.store, {}).setdefault(shard, _Held())

    def _key(self, shard: int) -> str:
        return f"{self._portfolio}#{shard}"
