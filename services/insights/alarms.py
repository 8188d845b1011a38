"""The error rate of each channel over the last quarter of an hour, and its alarm: said once when it is raised and once when it is
over, and counted at every look in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from libs.common.declare.service import TickAction
from libs.common.handle.alarms import AlarmKind
from libs.common.handle.context import Context
from libs.messaging.channels import Channel
from libs.messaging.events.insights import DeliveryAlarmChanged
from services.insights import series
from services.insights.model import DeliveryAlarm
from services.insights.periods import By, slots

METRIC = "error_rate_alarm"
ALARM = AlarmKind(METRIC, "too many messages fail", "few messages fail again")
#: How often somebody looks.
WATCH_SECONDS = 60
#: The last so many minutes, made up to whole five minutes: so it is up to five minutes more.
WINDOW_MINUTES = 15
#: Raised above one percent of at least a hundred messages; over at half a percent, so that it does not come and go.
RAISE_ABOVE, CLEAR_BELOW, MIN_MESSAGES = 0.01, 0.005, 100


@dataclass(frozen=True)
class Lately:
    """Messages of a channel that were sent or failed (``tried``) and that failed, in the window."""

    tried: int
    failed: int

    @property
    def rate(self) -> float:
        return round(self.failed / self.tried, 4) if self.tried else 0.0

    def alarm(self, raised: bool) -> bool:
        """Whether there is one, if it was ``raised`` or not. What is raised stays until little fails, or nothing is sent."""
        if raised:
            return self.failed > CLEAR_BELOW * self.tried
        return self.tried >= MIN_MESSAGES and self.failed > RAISE_ABOVE * self.tried


def lately(hours: dict[str, Counter[str]], ctx: Context) -> Lately:
    """Out of a channel's hours."""
    window = slots(ctx.now - timedelta(minutes=WINDOW_MINUTES), ctx.now)
    tried, failed = (
        sum(hours[hour][f"@{slot}.{status}"] for hour, slot in window if hour in hours)
        for status in ("tried", "failed")
    )
    return Lately(tried, failed)


async def standing(ctx: Context) -> dict[Channel, DeliveryAlarm]:
    """The alarms that there ever were."""
    page = await ctx.query(DeliveryAlarm, "all", limit=100)
    return {alarm.channel: alarm for alarm in page.items}


async def watch_delivery(ctx: Context) -> AsyncIterator[TickAction]:
    """Raise and end alarms."""
    since = ctx.now - timedelta(minutes=WINDOW_MINUTES)
    before, found = await asyncio.gather(standing(ctx), series.read_each(ctx, Channel, By.HOUR, since, ctx.now))
    for channel, hours in found.items():
        now, was = lately(hours, ctx), before.get(channel)
        raised = now.alarm(was is not None and was.raised)
        if not ALARM.has_changed(raised, was, channel=channel):
            continue
        facts = {"tried": now.tried, "failed": now.failed}
        row = DeliveryAlarm(channel=channel, raised=raised, **facts, at=ctx.now)
        event = DeliveryAlarmChanged(
            channel=channel,
            raised=raised,
            **facts,
            rate=now.rate,
            limit=RAISE_ABOVE,
            minutes=WINDOW_MINUTES,
            at=ctx.now,
        )
        yield ALARM.action(channel, row, was, event, {"channel": channel, **facts}, ctx)
