"""Event handlers. All are idempotent: a message's history contains the events counted, a queue's alarm the time of the
last one."""

from __future__ import annotations

import structlog

from libs.common.clock import iso
from libs.common.handle.context import Context
from libs.messaging.events.dlq import AlarmChanged
from libs.messaging.events.messages import MessageChanged
from services.insights.counts import count
from services.insights.message_history import STATUS_CHARS
from services.insights.model import DeadLetterAlarm, is_countable

log = structlog.get_logger()


async def message_changed(event: MessageChanged, ctx: Context) -> None:
    """Counts a new message or status in the hour and the day in which it occurred."""
    if event.status not in STATUS_CHARS:
        return
    if not is_countable(event.at, ctx.now):
        log.warning("not counted: too old, or of a day to come", status=event.status, at=iso(event.at))
        return
    await count(event, ctx)


async def letters_alarm(event: AlarmChanged, ctx: Context) -> None:
    """Stores the newest alarm event of a queue."""
    known = await ctx.get(DeadLetterAlarm, "all", event.queue)
    if known is None or known.at < event.at:
        facts = event.model_dump(include={"queue", "raised", "waiting", "quarantined", "at"})
        await ctx.save(DeadLetterAlarm(**facts), over=known)
