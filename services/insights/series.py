"""Reads the figures: one query for a channel and a time range, for any number of messages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from libs.common.handle.context import Context
from libs.messaging.channels import Channel
from services.insights.model import Figures, added_up
from services.insights.periods import By

#: More rows than a page of DynamoDB contains.
MAX_ROWS = 1000
#: Sorts after every shard.
_END = "~"


async def read(ctx: Context, channel: Channel, by: By, since: datetime, until: datetime) -> dict[str, Counter[str]]:
    """Returns the counts of the periods from that of ``since`` to that of ``until``, inclusive, in order, without empty
    ones."""
    rows: list[Figures] = []
    between = (by.label(since), by.label(until) + _END)
    cursor: str | None = None
    while True:
        page = await ctx.query(Figures, Figures.series_of(channel, by), between=between, limit=MAX_ROWS, cursor=cursor)
        rows += page.items
        cursor = page.cursor
        if cursor is None:
            return added_up(rows)


async def read_each(
    ctx: Context, channels: Iterable[Channel], by: By, since: datetime, until: datetime
) -> dict[Channel, dict[str, Counter[str]]]:
    """Reads several channels."""
    channels = list(channels)
    found = await asyncio.gather(*(read(ctx, channel, by, since, until) for channel in channels))
    return dict(zip(channels, found, strict=True))


def by_class(counts: Counter[str]) -> dict[str, Counter[str]]:
    """Returns ``{class: {name: count}}`` of a period, without the 5-minute counts."""
    found: dict[str, Counter[str]] = {}
    for name, n in counts.items():
        message_class, _, what = name.partition(".")
        if n and not message_class.startswith("@"):
            found.setdefault(message_class, Counter())[what] += n
    return found
