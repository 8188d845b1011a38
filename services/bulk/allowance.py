"""What the senders say of limits that they keep: how the WhatsApp portfolio's budget stands. Our own copies, by which a plan
can tell who would have to wait. The sender stays the one who decides, when it sends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from libs.common.clock import Timestamp
from libs.common.context import Context
from libs.common.errors import Conflict
from libs.common.item import Item, Table
from libs.common.wire import View
from libs.messaging.errors import ErrorCode
from libs.messaging.events.outbound import BudgetCounted
from libs.messaging.words import Channel
from services.bulk.model import BulkJob

#: It is said every hour at least; what is older tells nothing.
FRESH = timedelta(hours=2)


class BudgetCopy(Item):
    """How a portfolio's budget stood when it was last said."""

    TABLE: ClassVar[Table] = Table("budget-copy", key="channel", ttl="expiresAt")

    channel: Channel
    used: int
    limit: int
    left_for_bulk: int
    at: Timestamp
    expires_at: int


class BudgetView(View):
    """``leftForBulk`` people outside their 24-hour window can still be written to now. ``needed``: how many of this job are
    outside it; whoever was counted already today is among them, so ``over`` may be too high, never too low."""

    limit: int
    used: int
    left_for_bulk: int
    needed: int
    over: int
    as_of: Timestamp


async def keep_budget(event: BudgetCounted, ctx: Context) -> None:
    """Keep the newest."""
    copy = await ctx.get(BudgetCopy, event.channel)
    if copy is not None and copy.at >= event.at:
        return
    row = BudgetCopy(
        channel=event.channel,
        used=event.used,
        limit=event.limit,
        left_for_bulk=event.left_for_bulk,
        at=event.at,
        expires_at=int((event.at + FRESH).timestamp()),
        version=copy.version if copy else 0,
    )
    if not await ctx.write(ctx.insert(row) if copy is None else ctx.replace(row)):
        raise Conflict("the budget was told anew meanwhile")


async def waiting(job: BulkJob, ctx: Context) -> dict[str, Any]:
    """Of those the job would send to: how many would be put off if it began now, by reason; and the budget."""
    put_off: dict[str, int] = {}
    budget: BudgetView | None = None
    copy = await ctx.get(BudgetCopy, job.channel) if job.channel is Channel.WHATSAPP else None
    if copy is not None and ctx.settings.whatsapp_daily_recipients:
        needed = job.progress.outside
        over = max(0, needed - copy.left_for_bulk)
        if over:
            put_off[ErrorCode.BUDGET_EXHAUSTED] = over
        budget = BudgetView(
            limit=copy.limit, used=copy.used, left_for_bulk=copy.left_for_bulk, needed=needed, over=over, as_of=copy.at
        )
    return {"put_off": put_off, "budget": budget}
