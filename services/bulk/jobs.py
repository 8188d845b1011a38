"""The states of a job and their transitions. Every transition publishes an event with the new revision."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from libs.common.errors import Problem
from libs.common.handle.context import Context
from libs.messaging.events.bulk import JobChanged, JobState
from services.bulk.model import ACTIVE, MAX_WITHOUT_APPROVAL, BulkJob
from services.bulk.running.auto_pause import baseline_of
from services.bulk.running.counts import Totals, totals

#: Receipts may arrive this long after a job has finished; its report is then final.
SETTLING_TIME = timedelta(hours=72)


async def existing(ctx: Context, job_id: str) -> BulkJob:
    """Returns the job. Raises Problem JOB_NOT_FOUND."""
    job = await ctx.get(BulkJob, job_id)
    if job is None:
        raise Problem(404, "JOB_NOT_FOUND", "There is no such bulk job")
    return job


def moved(job: BulkJob, ctx: Context, state: JobState | None = None, **change: Any) -> tuple[BulkJob, JobChanged]:
    """Returns the changed job, to be written over the version that was read, and the event to publish."""
    stands = state or job.state
    looked_at = {"active": None if stands in ("planned", "rejected") else ACTIVE}
    updated = job.model_copy(update={"updated_at": ctx.now, "why": None, "state": stands, **looked_at, **change})
    event = JobChanged(
        job_id=job.job_id,
        channel=job.channel,
        revision=job.version + 1,
        state=updated.state,
        name=job.name,
        at=ctx.now,
        why=updated.why,
        planned=updated.planned,
    )
    return updated, event


def rejected(job: BulkJob, problem: dict[str, Any], ctx: Context) -> tuple[BulkJob, JobChanged]:
    """Rejects a job that cannot be planned. The tick stops the recipients planned so far, so that none stays
    pending."""
    return moved(job, ctx, "rejected", problem=problem, why=problem["detail"], active=ACTIVE, look_at=ctx.now)


def started(job: BulkJob, ctx: Context, **change: Any) -> tuple[BulkJob, JobChanged]:
    """Starts the job, now or at its start time."""
    if job.start_at is not None and job.start_at > ctx.now:
        return moved(job, ctx, "scheduled", **change)
    return moved(job, ctx, "running", started_at=job.started_at or ctx.now, paused_at=None, **change)


def may_start_alone(job: BulkJob) -> bool:
    """Whether the job is small enough to start without approval."""
    return not job.hold and 0 < job.progress.to_send <= MAX_WITHOUT_APPROVAL


def approved(job: BulkJob, given: str, ctx: Context) -> tuple[BulkJob, JobChanged]:
    """Approves a plan. Raises Problem if there is nothing to approve, or the hash is that of another plan."""
    if job.plan is None or job.state != "planned":
        raise _wrong(job, "NOT_PLANNED", "Only a job that is planned can be approved")
    if given != job.plan.hash:
        raise Problem(
            409, "PLAN_CHANGED", "The plan is another one than was approved",
            "Read the plan again and approve the hash that it has now.",
            [{"field": "hash", "detail": "It is not the hash of the present plan."}], hash=job.plan.hash,
        )  # fmt: skip
    if not job.progress.to_send:
        raise Problem(409, "NOBODY_TO_SEND_TO", "Nobody of the audience can be written to", "See the plan's reasons.")
    _in_time(job, "Set a later endAt, or none.", ctx)
    return started(job, ctx, approved_by=ctx.actor, approved_at=ctx.now)


def paused(job: BulkJob, why: str, ctx: Context) -> tuple[BulkJob, JobChanged]:
    """Pauses the job. Raises Problem."""
    if job.state not in ("running", "scheduled"):
        raise _wrong(job, "NOT_RUNNING", "Only a job that runs or is scheduled can be paused")
    return moved(job, ctx, "paused", why=why, paused_at=ctx.now)


async def resumed(job: BulkJob, ctx: Context) -> tuple[BulkJob, JobChanged]:
    """Resumes the job; errors before the pause no longer count for the auto-pause rules. Raises Problem."""
    if job.state != "paused":
        raise _wrong(job, "NOT_PAUSED", "Only a paused job can be resumed")
    _in_time(job, "Set a later endAt, or cancel it.", ctx)
    seen = await totals(job, ctx)
    return started(job, ctx, brake_base=baseline_of(*seen.of_run()))


def cancelled(job: BulkJob, why: str, ctx: Context) -> tuple[BulkJob, JobChanged]:
    """Cancels the job: no further chunks are released; the tick completes the cancellation. Raises Problem."""
    if job.state in ("cancelling", "cancelled", "finished", "rejected"):
        raise _wrong(job, "ALREADY_OVER", "The job is over")
    if job.state in ("planning", "planned"):
        # No chunk was ever released to a sender.
        return moved(job, ctx, "cancelling", why=why, paused_at=None)
    return moved(job, ctx, "cancelling", why=why)


def ended(job: BulkJob, seen: Totals, ctx: Context) -> tuple[BulkJob, JobChanged]:
    """Finishes the job: every recipient is settled, or accepted by the provider."""
    state: JobState = "cancelled" if job.state == "cancelling" else "finished"
    return moved(
        job, ctx, state, why=job.why, finished_at=ctx.now, look_at=ctx.now + timedelta(seconds=60),
        reports=job.reports + 1,
    )  # fmt: skip


def retried(job: BulkJob, ctx: Context) -> tuple[BulkJob, JobChanged]:
    """Retries the failed recipients. Raises Problem."""
    if job.state not in ("finished", "running", "paused"):
        raise _wrong(job, "NOT_STARTED", "Only a job that has run can retry what failed")
    _in_time(job, "Set a later endAt first.", ctx)
    state: JobState = "paused" if job.state == "paused" else "running"
    # The run time starts again: retried messages get the same time to live as the first ones.
    return moved(
        job, ctx, state, retrying=0, started_at=ctx.now, finished_at=None, settled_at=None, look_at=ctx.now,
    )  # fmt: skip


def _in_time(job: BulkJob, do: str, ctx: Context) -> None:
    if job.end_at is not None and job.end_at <= ctx.now:
        errors = [{"field": "endAt", "detail": do}]
        raise Problem(409, "WINDOW_IN_THE_PAST", "The job's end time has passed", do, errors)


def _wrong(job: BulkJob, code: str, title: str) -> Problem:
    return Problem(409, code, title, f"It is {job.state}.", state=job.state)
