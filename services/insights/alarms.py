"""The error rate of each channel over the last 15 minutes, and its alarm. Publishes an event when the alarm is raised
and when it is cleared; the figures are updated with every check in between."""

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
#: Interval of the check.
WATCH_SECONDS = 60
#: Length of the window, rounded up to whole 5 minutes: it is up to 5 minutes longer.
WINDOW_MINUTES = 15
#: Raised above 1 % of at least 100 messages; cleared below 0.5 %, so that it does not flap.
RAISE_ABOVE, CLEAR_BELOW, MIN_MESSAGES = 0.01, 0.005, 100


@dataclass(frozen=True)
class Lately:
    """Messages of a channel within the window: sent or failed (``tried``), and failed."""

    tried: int
    failed: int

    @property
    def rate(self) -> float:
        return round(self.failed / self.tried, 4) if self.tried else 0.0

    def alarm(self, raised: bool) -> bool:
        """Whether the alarm is on, given whether it was ``raised``. A raised alarm stays until few messages fail, or
        none are sent."""
        if raised:
            return self.failed > CLEAR_BELOW * self.tried
        return self.tried >= MIN_MESSAGES and self.failed > RAISE_ABOVE * self.tried


def lately(hours: dict[str, Counter[str]], ctx: Context) -> Lately:
    """Computes the window from a channel's hours."""
    window = slots(ctx.now - timedelta(minutes=WINDOW_MINUTES), ctx.now)
    tried, failed = (
        sum(hours[hour][f"@{slot}.{status}"] for hour, slot in window if hour in hours)
        for status in ("tried", "failed")
    )
    return Lately(tried, failed)


async def standing(ctx: Context) -> dict[Channel, DeliveryAlarm]:
    """Returns all stored alarms."""
    page = await ctx.query(DeliveryAlarm, "all", limit=100)
    return {alarm.channel: alarm for alarm in page.items}


async def watch_delivery(ctx: Context) -> AsyncIterator[TickAction]:
    """Raises and clears alarms."""
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
