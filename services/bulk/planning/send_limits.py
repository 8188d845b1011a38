"""The service's copies of limits that the senders publish: the budget of each WhatsApp portfolio, and the contacts at
the marketing cap. A plan uses them to show who would be deferred. The sender decides when it sends."""

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

#: Published at least every hour; an older copy is not used.
MAX_AGE = timedelta(hours=2)


class BudgetCopy(Item):
    """The last published budget of a portfolio. The key is the channel; for a portfolio defined in the settings,
    ``<channel>#<portfolio>``."""

    TABLE: ClassVar[Table] = Table("budget-copy", key="channel")

    channel: str
    used: int
    limit: int
    left_for_bulk: int
    at: Timestamp


class CapCopy(Item):
    """A contact at the marketing cap of a channel."""

    TABLE: ClassVar[Table] = Table("cap-copy", key="id", ttl="expiresAt")

    id: str
    until: Timestamp
    expires_at: int


class BudgetView(View):
    """The budget: ``leftForBulk`` recipients outside their 24-hour window can still be sent to now. ``needed``: how
    many recipients of this job are outside it. It includes recipients already counted today, who need no budget, so
    ``over`` may be too high."""

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
    """Returns those contacts that are at the marketing cap now."""
    copies = await asyncio.gather(*(caps.get(ctx, _id_of(each, channel)) for each in contact_ids))
    return {each for each, copy in zip(contact_ids, copies, strict=True) if copy and copy.until > ctx.now}


async def waiting(job: BulkJob, ctx: Context) -> dict[str, Any]:
    """Returns how many of the recipients to send to would be deferred if the job began now, by reason; and the
    budget."""
    put_off = {ErrorCode.FREQUENCY_CAPPED.value: job.progress.capped} if job.progress.capped else {}
    budget: BudgetView | None = None
    # As in the sender: a job without a sender uses the first number.
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
