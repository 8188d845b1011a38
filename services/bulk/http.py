"""HTTP routes of ``/api/bulk``."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from libs.common.aws.auth import Role
from libs.common.errors import Problem, invalid
from libs.common.handle.context import Context, Done
from libs.common.hosts.http.routes import SMALL_MAX_BODY_BYTES, Api, Cursor, Limit
from libs.messaging.events.bulk import ReportAsked
from services.bulk import bodies, changes, jobs, queries, requests, trial_sends
from services.bulk.audience.columns import guess
from services.bulk.audience.sources import SavedList
from services.bulk.audience.storage import URL_SECONDS, Files
from services.bulk.model import LISTED, BulkJob
from services.bulk.planning.plan_totals import rejects_key, samples
from services.bulk.planning.send_limits import waiting
from services.bulk.running.counts import totals
from services.bulk.views import (
    JobList,
    JobView,
    LinksView,
    LinkView,
    ListList,
    ListView,
    PlanView,
    RecipientList,
    ReportView,
    TestSendView,
    UploadView,
    job_view,
    list_view,
    upload_view,
)

router = Api()


# -- audiences -------------------------------------------------------------------------------------


@router.write(
    "POST", "/api/bulk/uploads", role=Role.OPERATOR, status=201, about="upload_id", max_bytes=SMALL_MAX_BODY_BYTES
)
async def create_upload(body: bodies.CreateUpload, ctx: Context) -> Done[UploadView]:
    """Returns a URL to PUT a file of recipients (CSV or XLSX)."""
    return await requests.create_upload(body, ctx)


@router.read("GET", "/api/bulk/uploads/{upload_id}", role=Role.OPERATOR)
async def read_upload(upload_id: str, ctx: Context) -> UploadView:
    """Returns the columns of an uploaded file, its first rows, and the likely address columns."""
    upload = await requests.existing_upload(upload_id, ctx)
    shape = await requests.shape_of(upload, ctx)
    return upload_view(upload, columns=shape.columns, samples=shape.samples, guess=guess(shape.columns, shape.samples))


@router.write("POST", "/api/bulk/lists", role=Role.OPERATOR, status=201, about="list_id")
async def create_list(body: bodies.CreateList, ctx: Context) -> Done[ListView]:
    """Saves an audience with a name."""
    done = await requests.create_list(body, ctx)
    return Done(list_view(done.value), done.events)


@router.read("GET", "/api/bulk/lists", role=Role.VIEWER)
async def list_lists(ctx: Context, limit: Limit = 50, cursor: Cursor = None) -> ListList:
    """Returns the saved audiences, by name."""
    page = await ctx.query(SavedList, LISTED, index="by-name", limit=limit, cursor=cursor)
    return ListList(items=[list_view(each) for each in page.items], cursor=page.cursor)


# -- jobs ------------------------------------------------------------------------------------------


@router.write("POST", "/api/bulk/jobs", role=Role.OPERATOR, status=202, about="job_id")
async def create_job(body: bodies.CreateJob, ctx: Context) -> Done[JobView]:
    """Creates and plans a job. Nothing is sent before the plan is made and, with more than 20 recipients, approved."""
    done = await requests.create_job(body, ctx)
    return Done(job_view(done.value, None, ctx.now), done.events)


@router.read("GET", "/api/bulk/jobs", role=Role.VIEWER)
async def list_jobs(ctx: Context, limit: Limit = 50, cursor: Cursor = None) -> JobList:
    """Returns the jobs, newest first, without counts; a single job includes them."""
    page = await ctx.query(BulkJob, LISTED, index="by-creation", limit=limit, cursor=cursor, newest_first=True)
    return JobList(items=[job_view(job, None, ctx.now) for job in page.items], cursor=page.cursor)


@router.read("GET", "/api/bulk/jobs/{job_id}", role=Role.VIEWER)
async def read_job(job_id: str, ctx: Context) -> JobView:
    """Returns one job with its counts, in two store calls for any number of recipients."""
    job = await jobs.existing(ctx, job_id)
    return job_view(job, await totals(job, ctx), ctx.now)


@router.read("GET", "/api/bulk/jobs/{job_id}/plan", role=Role.VIEWER)
async def read_plan(job_id: str, ctx: Context) -> PlanView:
    """Returns the plan: rejected recipients with reasons, recipients that would be deferred now, parts, cost, finishing
    time, three samples, and the hash to approve."""
    job = await jobs.existing(ctx, job_id)
    if job.plan is None:
        raise Problem(409, "NOT_PLANNED", "There is no plan yet", "Wait until it is planned.", state=job.state)
    shown, put_off = await asyncio.gather(samples(job, ctx), waiting(job, ctx))
    return PlanView(**job.plan.model_dump(), job_id=job_id, state=job.state, samples=shown, **put_off)


@router.write("PUT", "/api/bulk/jobs/{job_id}/approve", role=Role.OPERATOR, max_bytes=SMALL_MAX_BODY_BYTES)
async def approve_job(job_id: str, body: bodies.Approve, ctx: Context) -> Done[JobView]:
    """Approves a planned job; it starts now or at its start time."""
    job = await jobs.existing(ctx, job_id)
    if job.approved_at is not None and job.plan is not None and body.hash == job.plan.hash:
        return Done(job_view(job, None, ctx.now))
    return changes.done(job, jobs.approved(job, body.hash, ctx), ctx)


@router.write("PUT", "/api/bulk/jobs/{job_id}", role=Role.OPERATOR, max_bytes=SMALL_MAX_BODY_BYTES)
async def update_job(job_id: str, body: bodies.UpdateJob, ctx: Context) -> Done[JobView]:
    """Pauses, resumes or cancels a job; or changes name, rate and times before the start."""
    job = await jobs.existing(ctx, job_id)
    given = body.model_dump(exclude_unset=True, exclude={"state"})
    if body.state is not None and given:
        raise invalid("state", "Change the state or the rest, one at a time.")
    if body.state is not None:
        return await changes.to_state(job, body.state, None, ctx)
    return await changes.changed(job, given, ctx)


@router.write("POST", "/api/bulk/jobs/{job_id}/pause", role=Role.OPERATOR, max_bytes=SMALL_MAX_BODY_BYTES)
async def pause_job(job_id: str, body: bodies.Why, ctx: Context) -> Done[JobView]:
    """Pauses a job: sending stops within seconds; recipients not started stay pending."""
    return await changes.to_state(await jobs.existing(ctx, job_id), "paused", body.why, ctx)


@router.write("POST", "/api/bulk/jobs/{job_id}/resume", role=Role.OPERATOR)
async def resume_job(job_id: str, ctx: Context) -> Done[JobView]:
    """Resumes a job with its pending recipients."""
    return await changes.to_state(await jobs.existing(ctx, job_id), "running", None, ctx)


@router.write("POST", "/api/bulk/jobs/{job_id}/cancel", role=Role.OPERATOR, max_bytes=SMALL_MAX_BODY_BYTES)
async def cancel_job(job_id: str, body: bodies.Why, ctx: Context) -> Done[JobView]:
    """Cancels a job; recipients not started are never sent to."""
    return await changes.to_state(await jobs.existing(ctx, job_id), "cancelled", body.why, ctx)


@router.write("POST", "/api/bulk/jobs/{job_id}/retry-failed", role=Role.OPERATOR)
async def retry_failed(job_id: str, ctx: Context) -> Done[JobView]:
    """Retries failed recipients that may succeed now and were never accepted by the provider."""
    job = await jobs.existing(ctx, job_id)
    return changes.done(job, jobs.retried(job, ctx), ctx)


@router.write("POST", "/api/bulk/jobs/{job_id}/test", role=Role.OPERATOR, status=202)
async def test_send(job_id: str, body: bodies.TestSend, ctx: Context) -> Done[TestSendView]:
    """Sends one message of the job to a test contact first."""
    return await trial_sends.send_test(await jobs.existing(ctx, job_id), body, ctx)


# -- who got it ------------------------------------------------------------------------------------


@router.read("GET", "/api/bulk/jobs/{job_id}/recipients", role=Role.VIEWER)
async def list_recipients(
    job_id: str, ctx: Context, status: str | None = None, limit: Limit = 100, cursor: Cursor = None
) -> RecipientList:
    """Returns the recipients with their status, in the order of the audience; those skipped by the plan come last."""
    job = await jobs.existing(ctx, job_id)
    return await queries.list_recipients(job, status, limit, cursor, ctx)


@router.read("GET", "/api/bulk/jobs/{job_id}/rejects", role=Role.OPERATOR)
async def read_rejects(job_id: str, ctx: Context) -> LinksView:
    """Returns the rejected rows as CSV (row, reason, detail, as written): a URL for each part that has any."""
    job = await jobs.existing(ctx, job_id)
    links = [
        await _link(rejects_key(job_id, part), f"rejects-{part}.csv", ctx) for part in range(job.progress.reject_parts)
    ]
    return LinksView(items=links)


@router.read("GET", "/api/bulk/jobs/{job_id}/report", role=Role.OPERATOR)
async def read_report(job_id: str, ctx: Context) -> ReportView:
    """Returns the newest report: every recipient as CSV, the figures as JSON."""
    job = await jobs.existing(ctx, job_id)
    if job.report is None:
        raise Problem(
            409, "NO_REPORT_YET", "There is no report yet", "Ask for one with POST, and look again.", state=job.state
        )
    key, as_of, final = job.report["key"], job.report["asOf"], job.report["final"]
    csv = await _link(f"{key}.csv", f"{job_id}.csv", ctx)
    summary = await _link(f"{key}.json", f"{job_id}.json", ctx)
    return ReportView.model_validate({"csv": csv, "summary": summary, "asOf": as_of, "final": final})


@router.write("POST", "/api/bulk/jobs/{job_id}/report", role=Role.OPERATOR, status=202)
async def order_report(job_id: str, ctx: Context) -> Done[JobView]:
    """Requests a new report with the current figures."""
    job = await jobs.existing(ctx, job_id)
    updated = job.model_copy(update={"reports": job.reports + 1})
    ctx.stage(ctx.replace(updated))
    return Done(job_view(updated, None, ctx.now), (ReportAsked(job_id=job_id, order=updated.reports),))


async def _link(key: str, filename: str, ctx: Context) -> LinkView:
    url = await Files(ctx).get_url(key, filename)
    return LinkView(url=url, expires_at=ctx.now + timedelta(seconds=URL_SECONDS))
