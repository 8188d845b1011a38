"""What may only go later: marketing in quiet hours or above its cap, and people beyond the portfolio's budget."""

from __future__ import annotations

from datetime import datetime

from libs.common.handle.context import Context
from libs.common.settings import Settings
from libs.messaging.checks import Refusal
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageQueued
from libs.messaging.permission import Permission
from libs.messaging.quiet_hours import Hours, next_allowed, zones_of
from libs.messaging.setting_copy import in_force
from libs.messaging.vocabulary import Channel, Purpose
from services.outbound.limits.budget import Budget
from services.outbound.limits.frequency import reserve_slot


class SendLater(Exception):
    """It may go, but not before ``until``."""

    def __init__(self, why: Refusal, until: datetime) -> None:
        super().__init__(why.code)
        self.why = why
        self.until = until


def quiet_hours_refusal(
    purpose: Purpose, standing: Permission, now: datetime, settings: Settings
) -> SendLater | Refusal | None:
    """Whether it is night at the recipient's, by all the zones in which they may be. Mail wakes nobody."""
    if purpose is not Purpose.MARKETING or standing.channel is Channel.EMAIL:
        return None
    zones = zones_of(standing.zone, standing.address, settings.default_zone)
    until = next_allowed(now, zones, Hours.of(settings.marketing_hours))
    if until is None:
        return Refusal(ErrorCode.QUIET_HOURS, "No hour suits all the zones of this number; set the contact's zone.")
    if until == now:
        return None
    return SendLater(Refusal(ErrorCode.QUIET_HOURS, f"({', '.join(zones[:3])}: {settings.marketing_hours})"), until)


async def reserve_capacity(
    event: MessageQueued, purpose: Purpose, standing: Permission, budget: Budget | None, ctx: Context
) -> datetime | None:
    """Count it against the contact's cap and the portfolio's budget. Until when the cap is reached with it, or None. Raises
    PutOff; a place that it has by then is kept for it."""
    full_until: datetime | None = None
    if purpose is Purpose.MARKETING and (cap := (await in_force(ctx)).marketing_daily_cap):
        not_before, full_until = await reserve_slot(event.contact_id, event.message_id, cap, ctx)
        if not_before is not None:
            raise SendLater(Refusal(ErrorCode.FREQUENCY_CAPPED, f"({cap} in 24 hours)"), not_before)
    if budget is not None and not standing.window_open(ctx.now):
        until = await budget.take(event.contact_id, event.message_class, purpose, ctx)
        if until is not None:
            raise SendLater(Refusal(ErrorCode.BUDGET_EXHAUSTED), until)
    return full_until
