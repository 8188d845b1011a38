"""Changes an existing job: its state, name, rate and times."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from libs.common.errors import Problem, invalid
from libs.common.handle.context import Context, Done
from libs.messaging.events.bulk import JobChanged
from services.bulk import jobs
from services.bulk.model import BulkJob
from services.bulk.planning.estimate import plan
from services.bulk.planning.templates import category
from services.bulk.views import JobView, job_view

#: Tolerance for clock differences: a time this recently past counts as "now".
CLOCK_TOLERANCE = timedelta(seconds=60)


def check_window(start_at: Any, end_at: Any, ctx: Context) -> None:
    """Raises Problem for a window in the past, or one that ends before it begins."""
    if start_at is not None and start_at < ctx.now - CLOCK_TOLERANCE:
        raise invalid(
            "startAt",
            "The time has passed: give one in the future, or none to start once approved.",
            "WINDOW_IN_THE_PAST",
        )
    if end_at is not None and end_at <= ctx.now:
        raise invalid("endAt", "The time has passed: give one in the future, or none.", "WINDOW_IN_THE_PAST")
    check_order(start_at, end_at)


def check_order(start_at: Any, end_at: Any) -> None:
    """Checks that ``start_at`` is before ``end_at``. Raises Problem."""
    if start_at is not None and end_at is not None and end_at <= start_at:
        raise invalid("endAt", "The job would end before it starts: give a time after startAt.")


async def to_state(job: BulkJob, state: str, why: str | None, ctx: Context) -> Done[JobView]:
    if state == "paused":
        return done(job, jobs.paused(job, why or f"by {ctx.actor}", ctx), ctx)
    if state == "running":
        return done(job, await jobs.resumed(job, ctx), ctx)
    return done(job, jobs.cancelled(job, why or f"by {ctx.actor}", ctx), ctx)


async def changed(job: BulkJob, changes: dict[str, Any], ctx: Context) -> Done[JobView]:
    if job.state not in ("planned", "scheduled", "paused") and changes.keys() - {"name"}:
        raise Problem(409, "ALREADY_STARTED", "The plan cannot be changed now", f"It is {job.state}.", state=job.state)
    times = {name: changes.get(name) for name in ("start_at", "end_at")}
    check_window(times["start_at"], times["end_at"], ctx)
    updated = job.model_copy(update=changes)
    check_window(None, updated.end_at, ctx)
    check_order(updated.start_at, updated.end_at)
    if updated.plan is not None and changes.keys() - {"name"}:
        updated = updated.model_copy(
            update={"plan": plan(updated, await category(job.channel, job.content, ctx), ctx.settings, ctx.now)}
        )
    changed_plan = job.plan is not None and updated.plan is not None and job.plan.hash != updated.plan.hash
    if changed_plan and job.started_at is None:
        # The approval was for the previous plan.
        return done(job, jobs.moved(updated, ctx, "planned", approved_by=None, approved_at=None), ctx)
    return done(job, jobs.moved(updated, ctx, why=job.why), ctx)


def done(job: BulkJob, both: tuple[BulkJob, JobChanged], ctx: Context) -> Done[JobView]:
    updated, event = both
    ctx.stage(ctx.replace(updated))
    view = job_view(updated.model_copy(update={"version": job.version + 1}), None, ctx.now)
    return Done(view, (event,), {"state": job.state}, {"state": updated.state})
