"""A sender's copy of the state of bulk jobs, from ``bulk``'s events: whether their messages may still be sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar, Literal

from libs.common.handle.context import Context
from libs.common.handle.copy import Copy
from libs.common.store.item import Item, Table
from libs.messaging.events.bulk import JobChanged, JobState

#: How long a job's state may be answered from memory: a pause takes effect within it, and a busy sender does not read it each time.
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
    """The newest state of a job."""

    TABLE: ClassVar[Table] = Table("job", key="jobId", ttl="expiresAt")

    job_id: str
    revision: int
    state: JobState
    expires_at: int


def _row(event: JobChanged, now: datetime) -> JobControl:
    expires_at = int((now + RETENTION).timestamp())
    return JobControl(job_id=event.job_id, revision=event.revision, state=event.state, expires_at=expires_at)


job_controls = Copy(JobControl, {JobChanged: _row}, revision=lambda row: row.revision, cache_seconds=CACHE_SECONDS)


async def stop_reason(job_id: str, revision: int, ctx: Context) -> StopReason | None:
    """Why no further message of the job may be claimed, or None. A chunk that was released at a later ``revision`` than the
    copy has may be sent; one of a cancelled job never."""
    control = await job_controls.get(ctx, job_id)
    if control is None or (control.revision < revision and _STOP_REASONS.get(control.state) != "cancelled"):
        return None
    return _STOP_REASONS.get(control.state)
