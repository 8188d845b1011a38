"""Alarms that a tick watches: counted as a metric at every look while raised, reported once when raised and once when ended."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import structlog

from libs.common.clock import Timestamp
from libs.common.declare.event import Event
from libs.common.declare.service import TickAction
from libs.common.handle.context import Context
from libs.common.observe import metrics
from libs.common.store.item import Item

log = structlog.get_logger()


class Alarm(Item):
    """Whether the alarm was raised at the last change; ``at``: since when."""

    raised: bool
    at: Timestamp


A = TypeVar("A", bound=Alarm)


class AlarmKind(NamedTuple):
    """The metric, and the log lines of both changes."""

    metric: str
    raised: str
    cleared: str

    def has_changed(self, raised: bool, was: Alarm | None, **labels: str) -> bool:
        """Counts the metric while raised."""
        if raised:
            metrics.count(self.metric, **labels)
        return raised != (was is not None and was.raised)

    def action(self, key: str, row: A, was: A | None, event: Event, facts: dict[str, Any], ctx: Context) -> TickAction:
        """The change, logged with ``facts``. Of several processes that look at once, one reports it."""
        if row.raised:
            log.error(self.raised, **facts)
        else:
            log.info(self.cleared, **facts)
        return TickAction(f"{key}#{was.version + 1 if was else 0}", (ctx.upsert(row, was),), (event,))
