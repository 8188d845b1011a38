"""The overview: today's figures and yesterday's up to the same time, and problems that need attention."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta

from libs.common.clock import Timestamp
from libs.common.declare.wire import View
from libs.common.handle.context import Context
from libs.messaging.channels import Channel
from libs.messaging.errors import EXPLANATIONS, ErrorCode
from services.insights import alarms, series
from services.insights.delivery import Figures
from services.insights.model import DeadLetterAlarm, DeliveryAlarm
from services.insights.periods import SLOT_MINUTES, By

#: A message that is uncertain for longer becomes unknown.
MAX_UNCERTAIN_TIME = timedelta(days=4)
MAX_ERRORS = 5
#: Maximum queues that have ever had an alarm; there are about 20 in total.
MAX_QUEUES = 1000


class TopError(View):
    """A frequent error. ``means`` and ``action`` are those of the closed table of error codes: the meaning, and what a
    user can do."""

    code: str
    count: int
    means: str
    action: str


class DayFigures(View):
    """Figures of a day. ``deliveredShare`` is delivered / sent, ``failedShare`` failed / tried; missing if the divisor
    is 0. Both count events within the day: receipts for messages of the evening before can make the first greater than
    1 in the morning."""

    sent: int = 0
    delivered: int = 0
    failed: int = 0
    tried: int = 0
    received: int = 0
    delivered_share: float | None = None
    failed_share: float | None = None

    @staticmethod
    def of(counts: Counter[str]) -> DayFigures:
        found = DayFigures(**{name: counts[name] for name in ("sent", "delivered", "failed", "tried", "received")})
        found.delivered_share = round(found.delivered / found.sent, 4) if found.sent else None
        found.failed_share = round(found.failed / found.tried, 4) if found.tried else None
        return found


class ErrorRate(View):
    """The error rate of the last ``minutes``. ``raised``: the alarm is on, since ``since``."""

    tried: int
    failed: int
    rate: float
    limit: float
    minutes: int
    raised: bool
    since: Timestamp | None = None


class ChannelOverview(View):
    channel: Channel
    today: DayFigures
    #: Until the same 5 minutes, a day ago.
    yesterday: DayFigures
    #: Today's most frequent errors.
    errors: list[TopError]
    #: Sends of the last days whose outcome is uncertain.
    uncertain: int
    error_rate: ErrorRate


class OpenLetters(View):
    """A queue with an alarm: how many dead letters were open when it was raised."""

    queue: str
    waiting: int
    quarantined: int
    since: Timestamp


class Overview(View):
    """The overview. ``day`` began at midnight UTC."""

    at: Timestamp
    day: str
    channels: list[ChannelOverview]
    letters: list[OpenLetters]


async def overview(ctx: Context) -> Overview:
    """Returns the overview, with one query for each channel and two for the alarms."""
    since = By.HOUR.floor(ctx.now - MAX_UNCERTAIN_TIME)
    raised, letters, found = await asyncio.gather(
        alarms.standing(ctx),
        ctx.query(DeadLetterAlarm, "all", limit=MAX_QUEUES),
        series.read_each(ctx, Channel, By.HOUR, since, ctx.now),
    )
    return Overview(
        at=ctx.now,
        day=By.DAY.label(ctx.now),
        channels=[_channel(channel, hours, raised.get(channel), ctx) for channel, hours in found.items()],
        letters=[
            OpenLetters(queue=each.queue, waiting=each.waiting, quarantined=each.quarantined, since=each.at)
            for each in letters.items
            if each.raised
        ],
    )


def _channel(
    channel: Channel, hours: dict[str, Counter[str]], alarm: DeliveryAlarm | None, ctx: Context
) -> ChannelOverview:
    today = _sum(hours, By.DAY.floor(ctx.now), ctx.now)
    yesterday = _until_same_time(hours, ctx.now - By.DAY.length)
    lately = alarms.lately(hours, ctx)
    return ChannelOverview(
        channel=channel,
        today=DayFigures.of(today),
        yesterday=DayFigures.of(yesterday),
        errors=_top(today),
        uncertain=_sum(hours, ctx.now - MAX_UNCERTAIN_TIME, ctx.now)["unsettled"],
        error_rate=ErrorRate(
            tried=lately.tried,
            failed=lately.failed,
            rate=lately.rate,
            limit=alarms.RAISE_ABOVE,
            minutes=alarms.WINDOW_MINUTES,
            raised=alarm is not None and alarm.raised,
            since=alarm.at if alarm is not None and alarm.raised else None,
        ),
    )


def _sum(hours: dict[str, Counter[str]], since: datetime, until: datetime) -> Counter[str]:
    """Sums the hours from that of ``since`` to that of ``until``, over all classes."""
    first, last = By.HOUR.label(since), By.HOUR.label(until)
    sums: Counter[str] = Counter()
    for hour, counts in hours.items():
        if first <= hour <= last:
            for some in series.by_class(counts).values():
                sums.update(some)
    return sums


def _until_same_time(hours: dict[str, Counter[str]], at: datetime) -> Counter[str]:
    """Sums from midnight: the whole hours before that of ``at``, and of that hour the 5-minute counts up to ``at``."""
    begin, own = By.DAY.floor(at), By.HOUR.floor(at)
    sums = _sum(hours, begin, own - By.HOUR.length) if own > begin else Counter[str]()
    counts = hours.get(By.HOUR.label(at), Counter())
    for slot in range(at.minute // SLOT_MINUTES + 1):
        for name in ("sent", "delivered", "failed", "tried", "received"):
            sums[name] += counts[f"@{slot}.{name}"]
    return sums


def _top(counts: Counter[str]) -> list[TopError]:
    errors = Figures.model_validate(Figures.fields_of(counts)).errors[:MAX_ERRORS]
    found = []
    for error in errors:
        # A newer build may have counted a code that is unknown here.
        known = ErrorCode(error.code) if error.code in ErrorCode.__members__.values() else ErrorCode.UNKNOWN
        why = EXPLANATIONS[known]
        found.append(TopError(code=error.code, count=error.count, means=why.means, action=why.do))
    return found
