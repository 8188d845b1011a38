"""Delivery figures by channel, class and period: the query, and a page of its result."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.declare.wire import View
from libs.common.errors import invalid
from libs.common.handle.context import Context
from libs.messaging.channels import Channel
from libs.messaging.vocabulary import MessageClass
from services.insights import series
from services.insights.durations import span
from services.insights.model import NO_CLASS
from services.insights.periods import By

#: The maximum time range, the default range, and the range of one page.
MAX_PERIOD = {By.HOUR: timedelta(days=31), By.DAY: timedelta(days=400)}
DEFAULT_PERIOD = {By.HOUR: timedelta(hours=24), By.DAY: timedelta(days=30)}
PAGE_PERIOD = {By.HOUR: timedelta(hours=48), By.DAY: timedelta(days=31)}
#: Outside these years date arithmetic may overflow, and there are no figures.
CENTURY = (2001, 2100)


class ErrorCount(View):
    code: str
    count: int


class SpanView(View):
    """Durations in seconds, of the ``count`` messages for which both moments are known."""

    count: int
    median: float
    p95: float


class Figures(View):
    """Messages by the statuses that they reached in a period; each message counts once for each status. ``tried``:
    sent, or failed without being sent. A failure that a later proof of delivery replaced is not counted."""

    queued: int = 0
    sent: int = 0
    delivered: int = 0
    read: int = 0
    failed: int = 0
    tried: int = 0
    uncertain: int = 0
    #: Messages that became uncertain in the period and still are.
    unsettled: int = 0
    unknown: int = 0
    suppressed: int = 0
    expired: int = 0
    cancelled: int = 0
    #: Inbound messages.
    received: int = 0
    errors: list[ErrorCount] = Field(default_factory=list)
    queued_to_sent: SpanView | None = None
    sent_to_delivered: SpanView | None = None

    @staticmethod
    def fields_of(counts: Counter[str]) -> dict[str, object]:
        """Returns the counts of a period as fields of this model."""
        found: dict[str, object] = {name: counts[name] for name in STATUSES}
        errors = [(name.partition(".")[2], n) for name, n in counts.items() if name.startswith("error.") and n > 0]
        found["errors"] = [ErrorCount(code=code, count=n) for code, n in sorted(errors, key=lambda e: (-e[1], e[0]))]
        for field, name in (("queued_to_sent", "toSent."), ("sent_to_delivered", "toDelivered.")):
            measured = span({int(key.removeprefix(name)): n for key, n in counts.items() if key.startswith(name)})
            found[field] = SpanView.model_validate(measured) if measured else None
        return found


STATUSES = (
    "queued", "sent", "delivered", "read", "failed", "tried", "uncertain", "unsettled", "unknown", "suppressed", "expired",
    "cancelled", "received",
)  # fmt: skip


class DeliveryView(Figures):
    """Figures of one period. ``start`` is the beginning of the hour or day (UTC). Inbound messages have no class."""

    start: Timestamp
    channel: Channel
    message_class: MessageClass | None = None


class DeliveryPage(View):
    """A page, sorted by time, channel and class, without empty entries. ``from`` and ``to`` are extended to whole
    periods. Request the following time with ``cursor``."""

    since: Timestamp = Field(alias="from")
    until: Timestamp = Field(alias="to")
    by: By
    items: list[DeliveryView]
    cursor: str | None = None


@dataclass(frozen=True)
class Wanted:
    """Whole periods from ``since`` (inclusive) to ``until`` (exclusive)."""

    since: datetime
    until: datetime
    by: By
    channels: tuple[Channel, ...]

    @staticmethod
    def of(since: datetime | None, until: datetime | None, channel: Channel | None, by: By, now: datetime) -> Wanted:
        """Returns the periods that overlap with the time range. Raises Problem."""
        for field, at in (("from", since), ("to", until)):
            if at is not None and not CENTURY[0] <= at.year <= CENTURY[1]:
                raise invalid(field, "Give a time of this century.")
        end = until or now
        begin = since or end - DEFAULT_PERIOD[by]
        if begin >= end:
            raise invalid("from", "It is not before to.")
        if end - begin > MAX_PERIOD[by]:
            raise invalid("from", f"Ask for {MAX_PERIOD[by].days} days at most by {by}; for more, ask again or by day.")
        last = by.floor(end - timedelta(microseconds=1))
        return Wanted(by.floor(begin), last + by.length, by, (channel,) if channel else tuple(Channel))


async def page_of(ctx: Context, wanted: Wanted, cursor: str | None = None) -> DeliveryPage:
    """Returns a page, with one query for each channel. Raises Problem."""
    begin = _begin(wanted, cursor) if cursor else wanted.since
    end = min(begin + PAGE_PERIOD[wanted.by], wanted.until)
    last = end - wanted.by.length
    found = await series.read_each(ctx, wanted.channels, wanted.by, begin, last)
    items = [
        DeliveryView.model_validate(
            {
                "start": wanted.by.begin(period),
                "channel": channel,
                "message_class": _class(name),
                **Figures.fields_of(counts),
            }
        )
        for channel, periods in found.items()
        for period, sums in periods.items()
        for name, counts in series.by_class(sums).items()
        if any(counts.values())
    ]
    order = {channel: n for n, channel in enumerate(Channel)}
    items.sort(key=lambda item: (item.start, order[item.channel], item.message_class or ""))
    following = wanted.by.label(end) if end < wanted.until else None
    return DeliveryPage(since=wanted.since, until=wanted.until, by=wanted.by, items=items, cursor=following)


def _class(name: str) -> MessageClass | None:
    return None if name == NO_CLASS else MessageClass(name)


def _begin(wanted: Wanted, cursor: str) -> datetime:
    try:
        begin = wanted.by.begin(cursor)
    except ValueError:
        begin = wanted.until
    if not wanted.since <= begin < wanted.until:
        raise invalid("cursor", "It is of another list; send the one that came with the page before, or none.")
    return begin
