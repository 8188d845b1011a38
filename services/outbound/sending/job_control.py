"""What a sender must know of bulk jobs: whether they still want to go out. Its own copy, fed by ``bulk``'s events."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal
from weakref import WeakKeyDictionary

from libs.common.handle.context import Context
from libs.common.store.item import Item, Table
from libs.common.store.ops import Store
from libs.messaging.events.bulk import JobChanged, JobState

#: A job's state is read again after this long (s): a pause takes effect within it, and a busy sender does not read it each time.
CACHE_SECONDS = 0.5
RETENTION = timedelta(days=30)

StopReason = Literal["paused", "cancelled"]
_STOP_REASONS: dict[JobState, StopReason] = {
    "planning": "paused",
    "planned": "paused",
    "scheduled": "paused",
    "paused": "paused",
    "cancelling": "cancelled",
    "cancelled": "cancelled",
    "finished": "cancelled",
    "rejected": "cancelled",
}


class JobControl(Item):
    """The newest that was heard of a job."""

    TABLE: ClassVar[Table] = Table("job", key="jobId", ttl="expiresAt")

    job_id: str
    revision: int
    state: JobState
    expires_at: int


async def job_changed(event: JobChanged, ctx: Context) -> None:
    """Keep the newest revision."""
    copy = await ctx.get(JobControl, event.job_id)
    if copy is not None and copy.revision >= event.revision:
        return
    expires = int((ctx.now + RETENTION).timestamp())
    row = JobControl(job_id=event.job_id, revision=event.revision, state=event.state, expires_at=expires)
    await ctx.save(row, over=copy)
    _seen.setdefault(ctx.store, {}).pop(event.job_id, None)


#: By store: a process has one, a test one for each world.
_seen: WeakKeyDictionary[Store, dict[str, tuple[float, JobControl | None]]] = WeakKeyDictionary()


async def stop_reason(job_id: str, revision: int, ctx: Context) -> StopReason | None:
    """Why nothing more of the job may be claimed, or None. What was released at a later ``revision`` than the copy knows goes
    ahead; a cancelled job never does again."""
    seen = _seen.setdefault(ctx.store, {})
    now = ctx.now.timestamp()
    at, control = seen.get(job_id, (0.0, None))
    if not 0 <= now - at < CACHE_SECONDS:
        control = await ctx.get(JobControl, job_id)
        if len(seen) > 1000:
            seen.clear()
        seen[job_id] = (now, control)
    if control is None or (control.revision < revision and _STOP_REASONS.get(control.state) != "cancelled"):
        return None
    return _STOP_REASONS.get(control.state)
