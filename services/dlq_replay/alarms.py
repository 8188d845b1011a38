"""Counts the open dead letters of each queue, and raises an alarm if there are too many. Publishes an event when the
alarm is raised and when it is cleared; the counts are updated with every check in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from libs.common.declare.service import TickAction
from libs.common.handle.alarms import AlarmKind
from libs.common.handle.context import Context
from libs.messaging.events.dlq import AlarmChanged
from services.dlq_replay import search
from services.dlq_replay.model import QUIET_THRESHOLD, QueueAlarm, State
from services.dlq_replay.search import Filter, Group

METRIC = "dead_letter_alarm"
ALARM = AlarmKind(METRIC, "too many dead letters", "dead-letter alarm cleared")
#: Interval of the check.
WATCH_SECONDS = 60
#: Maximum queues that have ever had an alarm; there are about 20 in total.
MAX_QUEUES = 1000


@dataclass
class Depth:
    """The open dead letters of a queue, on which no decision has been made."""

    queue: str
    waiting: int = 0
    quarantined: int = 0

    @property
    def alarm(self) -> bool:
        return self.waiting + self.quarantined > QUIET_THRESHOLD


@dataclass(frozen=True)
class OpenDeadLetters:
    """All open dead letters, in groups; ``whole`` is false if there are more than were counted."""

    waiting: list[Group]
    quarantined: list[Group]
    whole: bool

    def depths(self) -> list[Depth]:
        """Returns the depth of every queue that has open dead letters, by name."""
        found: dict[str, Depth] = {}
        for name, groups in (("waiting", self.waiting), ("quarantined", self.quarantined)):
            for group in groups:
                for queue, count in group.queues.items():
                    depth = found.setdefault(queue, Depth(queue))
                    setattr(depth, name, getattr(depth, name) + count)
        return [found[queue] for queue in sorted(found)]


async def open_dead_letters(ctx: Context) -> OpenDeadLetters:
    (waiting, all_waiting), (quarantined, all_quarantined) = await asyncio.gather(
        *(search.groups(ctx, Filter(state=state)) for state in (State.WAITING, State.QUARANTINED))
    )
    return OpenDeadLetters(waiting, quarantined, all_waiting and all_quarantined)


async def watch_queues(ctx: Context) -> AsyncIterator[TickAction]:
    """Raises and clears alarms."""
    now = await open_dead_letters(ctx)
    page = await ctx.query(QueueAlarm, "all", limit=MAX_QUEUES)
    before = {alarm.queue: alarm for alarm in page.items}
    by_queue = {depth.queue: depth for depth in now.depths()}
    for queue in sorted(by_queue.keys() | before.keys()):
        depth, was = by_queue.get(queue, Depth(queue)), before.get(queue)
        if not ALARM.has_changed(depth.alarm, was, queue=queue) or not (depth.alarm or now.whole):
            continue
        facts: dict[str, Any] = {"queue": queue, "waiting": depth.waiting, "quarantined": depth.quarantined}
        row = QueueAlarm(queue=queue, raised=depth.alarm, at=ctx.now)
        event = AlarmChanged(**facts, raised=depth.alarm, few=QUIET_THRESHOLD, at=ctx.now)
        yield ALARM.action(queue, row, was, event, facts, ctx)
