"""What the senders say of limits that they keep: how each WhatsApp portfolio's budget stands, and who has had enough marketing.
Our own copies, by which a plan can tell who would have to wait. The sender stays the one who decides, when it sends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from libs.common.clock import Timestamp
from libs.common.declare.wire import View
from libs.common.handle.context import Context
from libs.common.handle.copy import Copy
from libs.common.store.item import Item, Table
from libs.messaging.channels import Channel
from libs.messaging.errors import ErrorCode
from libs.messaging.events.outbound import BudgetCounted, CapReached
from libs.messaging.setting_copy import in_force
from libs.messaging.settings import DEFAULT_PORTFOLIO
from services.bulk.model import BulkJob

#: It is said every hour at least; what is older tells nothing.
MAX_AGE = timedelta(hours=2)


class BudgetCopy(Item):
    """How a portfolio's budget stood when it was last said. The key is the channel; of a portfolio that the settings name,
    ``<channel>#<portfolio>``."""

    TABLE: ClassVar[Table] = Table("budget-copy", key="channel")

    channel: str
    used: int
    limit: int
    left_for_bulk: int
    at: Timestamp


class CapCopy(Item):
    """A contact who has had as much marketing on a channel as the cap allows."""

    TABLE: ClassVar[Table] = Table("cap-copy", key="id", ttl="expiresAt")

    id: str
    until: Timestamp
    expires_at: int


class BudgetView(View):
    """``leftForBulk`` people outside their 24-hour window can still be written to now. ``needed``: how many of this job are
    outside it. Who was counted already today needs no second place and is among them, so ``over`` may be too high."""

    portfolio: str
    limit: int
    used: int
    left_for_bulk: int
    needed: int
    over: int
    as_of: Timestamp


def _copy_of(channel: Channel, portfolio: str) -> str:
    return channel.value if portfolio == DEFAULT_PORTFOLIO else f"{channel}#{portfolio}"


def _id_of(contact_id: str, channel: Channel) -> str:
    return f"{contact_id}#{channel}"


def _budget_row(event: BudgetCounted, now: datetime) -> BudgetCopy:
    return BudgetCopy(
        channel=_copy_of(event.channel, event.portfolio),
        used=event.used,
        limit=event.limit,
        left_for_bulk=event.left_for_bulk,
        at=event.at,
    )


def _cap_row(event: CapReached, now: datetime) -> CapCopy | None:
    if event.until <= now:
        return None
    key = _id_of(event.contact_id, event.channel)
    return CapCopy(id=key, until=event.until, expires_at=int(event.until.timestamp()))


budgets = Copy(BudgetCopy, {BudgetCounted: _budget_row}, revision=lambda row: row.at)
caps = Copy(CapCopy, {CapReached: _cap_row}, revision=lambda row: row.until)


async def capped(contact_ids: Sequence[str], channel: Channel, ctx: Context) -> set[str]:
    """Who of them has had enough marketing now."""
    copies = await asyncio.gather(*(caps.get(ctx, _id_of(each, channel)) for each in contact_ids))
    return {each for each, copy in zip(contact_ids, copies, strict=True) if copy and copy.until > ctx.now}


async def waiting(job: BulkJob, ctx: Context) -> dict[str, Any]:
    """Of those the job would send to: how many would be deferred if it began now, by reason; and the budget."""
    put_off = {ErrorCode.FREQUENCY_CAPPED.value: job.progress.capped} if job.progress.capped else {}
    budget: BudgetView | None = None
    # As the sender does it: without a number of its own the job goes out by the first.
    settings = await in_force(ctx)
    portfolio = settings.whatsapp_portfolio_of(job.sender or next(iter(settings.may_send(job.channel)), None))
    copy = await budgets.get(ctx, _copy_of(job.channel, portfolio)) if job.channel.traits.has_portfolios else None
    if copy is not None and copy.at + MAX_AGE > ctx.now and settings.whatsapp_limits[portfolio]:
        needed = job.progress.outside
        over = max(0, needed - copy.left_for_bulk)
        if over:
            put_off[ErrorCode.BUDGET_EXHAUSTED.value] = over
        budget = BudgetView(
            portfolio=portfolio,
            limit=copy.limit,
            used=copy.used,
            left_for_bulk=copy.left_for_bulk,
            needed=needed,
            over=over,
            as_of=copy.at,
        )
    return {"put_off": put_off, "budget": budget}
