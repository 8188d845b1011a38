"""The report of a job: every recipient as CSV, and the figures as JSON, in S3. Written chunk by chunk for any size;
every recipient is recounted on the way."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import structlog

from libs.common.clock import iso
from libs.common.declare.event import Event
from libs.common.errors import Conflict
from libs.common.handle.context import Context
from libs.messaging.errors import EXPLANATIONS
from libs.messaging.events.bulk import DriftFound, ReportWritten
from libs.messaging.exports import CSV_TYPE, csv_lines
from services.bulk.audience.storage import Files
from services.bulk.model import BulkJob
from services.bulk.running.chunks import BulkChunk, BulkRecipient, chunk_name, skipped_name
from services.bulk.running.counts import totals
from services.bulk.running.status_string import RANK, STATUS_NAMES, status_of

HEADER = ("row", "recipient id", "contact id", "address", "status", "reason", "what to do", "attempt",
          "sent at", "delivered at", "read at", "message id")  # fmt: skip
#: Chunks that are read concurrently.
MAX_CONCURRENT_READS = 10

log = structlog.get_logger()


def names(job: BulkJob) -> list[str]:
    """Returns the names of all chunks of a job, in the order in which recipients are listed."""
    return [
        *(chunk_name(n) for n in range(job.progress.chunks)),
        *(skipped_name(n) for n in range(job.progress.skipped_chunks)),
    ]


async def members(job: BulkJob, name: str, ctx: Context) -> tuple[BulkChunk, list[BulkRecipient]] | None:
    """Returns a chunk with its recipients in order."""
    chunk = await ctx.get(BulkChunk, job.job_id, name)
    if chunk is None:
        return None
    rows = await asyncio.gather(*(ctx.get(BulkRecipient, job.job_id, each) for each in chunk.ids))
    return chunk, [row for row in rows if row is not None]


def drift(chunk: BulkChunk, rows: Sequence[BulkRecipient]) -> DriftFound | None:
    """Returns the difference between the chunk's counts and those of its recipients, if any."""
    chars = Counter(RANK[char] for char in chunk.marks)
    ranks = Counter(row.rank for row in rows)
    if chars == ranks:
        return None
    counted = {str(rank): n for rank, n in ranks.items()}
    reported = {str(rank): n for rank, n in chars.items()}
    updated = max((row.updated_at for row in rows), default=None)
    assert updated is not None
    return DriftFound(job_id=chunk.job_id, chunk=chunk.chunk, at=updated, counted=counted, said=reported)


async def audited(job: BulkJob, name: str, ctx: Context) -> DriftFound | None:
    """Counts a chunk's recipients. A chunk that changes meanwhile is counted again before a drift is reported."""
    found = None
    for attempt in range(3):
        if attempt:
            await ctx.clock.sleep(1.0)
        both = await members(job, name, ctx)
        found = drift(*both) if both else None
        if found is None:
            return None
    log.error("drift between a chunk and its recipients", job=job.job_id, chunk=name)
    return found


async def write_report(job: BulkJob, order: int, ctx: Context) -> list[Event]:
    """Writes the report; returns the events to publish. The highest order wins. Idempotent."""
    files = Files(ctx)
    key = f"jobs/{job.job_id}/report-{order}"
    found: list[DriftFound] = []
    size = await files.put_stream(f"{key}.csv", _csv(job, found, ctx), CSV_TYPE)
    seen = await totals(job, ctx)
    final = job.settled_at is not None
    summary: dict[str, Any] = {
        "jobId": job.job_id, "name": job.name, "channel": job.channel, "state": job.state, "final": final,
        "asOf": iso(ctx.now), "recipients": job.planned, "counts": seen.counts, "reasons": seen.reasons,
        "plan": job.plan.model_dump(mode="json", by_alias=True) if job.plan else None,
        "startedAt": iso(job.started_at) if job.started_at else None,
        "finishedAt": iso(job.finished_at) if job.finished_at else None,
        "csvBytes": size, "drift": len(found),
    }  # fmt: skip
    await files.put(f"{key}.json", json.dumps(summary, indent=2).encode())
    report = {"key": key, "asOf": iso(ctx.now), "final": final, "order": order}
    current = await ctx.get(BulkJob, job.job_id)
    newest = current is not None and (current.report or {}).get("order", 0) <= order
    if current and newest and not await ctx.write(ctx.replace(current.model_copy(update={"report": report}))):
        raise Conflict("the job changed meanwhile")
    counts = {status: seen.counts[status] for status in STATUS_NAMES}
    written = ReportWritten(job_id=job.job_id, channel=job.channel, at=ctx.now, final=final, counts=counts, key=key)
    return [*found, written]


async def _csv(job: BulkJob, found: list[DriftFound], ctx: Context) -> AsyncIterator[bytes]:
    yield csv_lines([HEADER])
    every = names(job)
    for at in range(0, len(every), MAX_CONCURRENT_READS):
        some = await asyncio.gather(*(members(job, name, ctx) for name in every[at : at + MAX_CONCURRENT_READS]))
        for both in some:
            if both is None:
                continue
            if drift(*both) is not None:
                repaired = await audited(job, both[0].chunk, ctx)
                found += [repaired] if repaired else []
            yield csv_lines(_row(job, both[0], row) for row in both[1])


def _row(job: BulkJob, chunk: BulkChunk, row: BulkRecipient) -> list[object]:
    what = EXPLANATIONS[row.reason].do if row.reason else ""
    status = row.status if row.rank else status_of("p", chunk.in_hand and chunk.chunk[0] == "p")
    times = (iso(at) if at else "" for at in (row.sent_at, row.delivered_at, row.read_at))
    return [
        row.row or "", row.recipient_id, row.contact_id, row.address, status, row.reason or "", what, row.attempt, *times,
        row.message_id(job.channel, row.attempt) if chunk.chunk[0] == "p" else "",
    ]  # fmt: skip
