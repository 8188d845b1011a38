"""Response models of the API. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.declare.wire import PageView, View
from libs.messaging.channels import Channel
from libs.messaging.content import Content
from libs.messaging.errors import EXPLANATIONS, ErrorCode
from libs.messaging.events.bulk import JobState
from libs.messaging.vocabulary import Purpose
from services.bulk.audience.sources import SavedList, Upload
from services.bulk.model import BulkJob, Columns, Plan
from services.bulk.planning.send_limits import BudgetView
from services.bulk.running.chunks import BulkChunk, BulkRecipient
from services.bulk.running.counts import Totals
from services.bulk.running.status_string import status_of


class JobView(View):
    """A job. The sum of ``counts`` is always ``planned``. ``reasons``: failed or skipped recipients, by code.
    ``version`` increases with every change of the job itself."""

    job_id: str
    name: str
    state: JobState
    why: str | None = None
    channel: Channel
    purpose: Purpose
    sender: str | None = None
    content: Content
    planned: int
    counts: dict[str, int] | None = None
    reasons: dict[str, int] | None = None
    rows_read: int
    plan_hash: str | None = None
    needs_approval: bool
    problem: dict[str, Any] | None = None
    throttle_per_second: float | None = None
    start_at: Timestamp | None = None
    end_at: Timestamp | None = None
    approved_by: str | None = None
    approved_at: Timestamp | None = None
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    settled_at: Timestamp | None = None
    finishes_at: Timestamp | None = None
    report_at: Timestamp | None = None
    created_by: str
    created_at: Timestamp
    updated_at: Timestamp
    version: int


class JobList(PageView[JobView]):
    pass


class PlanView(Plan):
    """A plan. ``putOff``: how many of ``toSend`` would be deferred if the job began now, by reason (the cap as of the
    time of planning)."""

    job_id: str
    state: JobState
    samples: list[dict[str, Any]]
    put_off: dict[str, int] = Field(default={})
    budget: BudgetView | None = None


class RecipientView(View):
    """A recipient. ``means`` and ``do`` explain its reason."""

    recipient_id: str
    contact_id: str
    address: str
    row: int | None = None
    status: str
    reason: ErrorCode | None = None
    detail: str | None = None
    means: str | None = None
    do: str | None = None
    attempt: int
    message_id: str | None = None
    variables: dict[str, str]
    sent_at: Timestamp | None = None
    delivered_at: Timestamp | None = None
    read_at: Timestamp | None = None
    updated_at: Timestamp


class RecipientList(PageView[RecipientView]):
    pass


class UploadView(View):
    """An upload. ``url`` accepts one PUT of the file, until ``url_expires_at``. ``guess`` names the likely address
    columns."""

    upload_id: str
    filename: str
    url: str | None = None
    url_expires_at: Timestamp | None = None
    size: int | None = None
    columns: list[str] = Field(default=[])
    samples: list[list[str]] = Field(default=[])
    guess: dict[str, str] = Field(default={})
    rows: int | None = None
    created_at: Timestamp


class ListView(View):
    list_id: str
    name: str
    audience: dict[str, Any]
    mapping: Columns
    created_by: str
    created_at: Timestamp


class ListList(PageView[ListView]):
    pass


class LinkView(View):
    """A download URL that is valid for some minutes."""

    url: str
    expires_at: Timestamp
    as_of: Timestamp | None = None
    final: bool | None = None


class LinksView(View):
    items: list[LinkView]


class ReportView(View):
    csv: LinkView
    summary: LinkView
    as_of: Timestamp
    final: bool


class TestSendView(View):
    """A test message; its status is at ``/api/messages/{messageId}``."""

    message_id: str


def job_view(job: BulkJob, seen: Totals | None, now: datetime) -> JobView:
    shown = {name: getattr(job, name) for name in JobView.model_fields if name in BulkJob.model_fields}
    return JobView(
        **shown,
        # Without a plan, the recipients written so far.
        planned=sum(seen.counts.values()) if seen and job.plan is None else job.planned,
        counts=seen.counts if seen else None,
        reasons=(seen.reasons or None) if seen else None,
        rows_read=job.progress.rows,
        plan_hash=job.plan.hash if job.plan else None,
        needs_approval=job.state == "planned",
        finishes_at=_finishes(job, seen, now),
        report_at=(job.report or {}).get("asOf"),
    )


def _finishes(job: BulkJob, seen: Totals | None, now: datetime) -> datetime | None:
    """Returns the estimated finishing time: from the progress so far, before the start from the plan."""
    if job.finished_at is not None or job.plan is None:
        return None
    if job.state != "running" or seen is None or job.started_at is None:
        return job.plan.finishes_at if job.state in ("planned", "scheduled") else None
    done = job.progress.to_send - seen.open()
    spent = (now - job.started_at).total_seconds()
    if done <= 0 or spent <= 0:
        return job.plan.finishes_at
    return now + timedelta(seconds=seen.open() / (done / spent))


def recipient_view(job: BulkJob, chunk: BulkChunk, row: BulkRecipient, position: int) -> RecipientView:
    status = status_of(chunk.marks[position], chunk.in_hand)
    shown = {name: getattr(row, name) for name in RecipientView.model_fields if name in BulkRecipient.model_fields}
    explained = EXPLANATIONS[row.reason] if row.reason else None
    return RecipientView(
        **{**shown, "status": status, "row": row.row or None},
        means=explained.means if explained else None,
        do=explained.do if explained else None,
        message_id=row.message_id(job.channel, chunk.attempt(position)) if chunk.chunk[0] == "p" else None,
    )


def upload_view(upload: Upload, **more: Any) -> UploadView:
    return UploadView(
        **{
            "upload_id": upload.upload_id,
            "filename": upload.filename,
            "size": upload.size,
            "rows": upload.rows,
            "created_at": upload.created_at,
            **more,
        }
    )


def list_view(saved: SavedList) -> ListView:
    return ListView.model_validate(saved)
