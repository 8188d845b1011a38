"""What postpones a message: quiet hours and the frequency cap for marketing, and the portfolio's budget."""

from __future__ import annotations

from datetime import datetime

from libs.common.handle.context import Context
from libs.messaging.checks import Refusal
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageQueued
from libs.messaging.permission import Permission
from libs.messaging.quiet_hours import Hours, next_allowed, zones_of
from libs.messaging.settings import MessagingSettings
from libs.messaging.vocabulary import Purpose
from services.outbound.limits.budget import Budget
from services.outbound.limits.frequency import reserve_slot


class SendLater(Exception):
    """The message may be sent, but not before ``until``."""

    def __init__(self, why: Refusal, until: datetime) -> None:
        super().__init__(why.code)
        self.why = why
        self.until = until


def quiet_hours_refusal(
    purpose: Purpose, permission: Permission, now: datetime, settings: MessagingSettings
) -> Refusal | None:
    """Quiet hours hold for marketing, in every zone the recipient may be in, on channels that have them. Raises SendLater if they end in
    time."""
    if purpose is not Purpose.MARKETING or not permission.channel.traits.quiet_hours:
        return None
    zones = zones_of(permission.zone, permission.address, settings.default_zone)
    until = next_allowed(now, zones, Hours.of(settings.marketing_hours))
    if until is None:
        return Refusal(ErrorCode.QUIET_HOURS, "No hour suits all the zones of this number; set the contact's zone.")
    if until == now:
        return None
    raise SendLater(Refusal(ErrorCode.QUIET_HOURS, f"({', '.join(zones[:3])}: {settings.marketing_hours})"), until)


async def reserve_capacity(
    event: MessageQueued, purpose: Purpose, permission: Permission, budget: Budget | None, cap: int, ctx: Context
) -> datetime | None:
    """Counts the message against the contact's daily ``cap`` of marketing messages (0: none) and the portfolio's budget.
    Returns until when the cap is reached with it, or None. Raises SendLater; what it has reserved by then stays reserved."""
    full_until: datetime | None = None
    if purpose is Purpose.MARKETING and cap:
        not_before, full_until = await reserve_slot(event.contact_id, event.message_id, cap, ctx)
        if not_before is not None:
            raise SendLater(Refusal(ErrorCode.FREQUENCY_CAPPED, f"({cap} in 24 hours)"), not_before)
    if budget is not None and not permission.window_open(ctx.now):
        until = await budget.take(event.contact_id, event.message_class, purpose, ctx)
        if until is not None:
            raise SendLater(Refusal(ErrorCode.BUDGET_EXHAUSTED), until)
    return full_until
