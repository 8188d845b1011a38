"""Event handlers of ``bulk``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from libs.common.clock import iso
from libs.common.declare.event import Event
from libs.common.handle.context import Context
from libs.common.store.item import Row
from libs.common.store.ops import When
from libs.messaging.errors import ErrorCode
from libs.messaging.events.bulk import JobChanged, ReportAsked
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.inbound import AccountNoticed
from libs.messaging.events.messages import MessageChanged
from libs.messaging.events.outbound import ChunkEnded
from libs.messaging.vocabulary import Purpose
from services.bulk import jobs
from services.bulk.audience import contact_copy
from services.bulk.model import BulkJob
from services.bulk.running.chunks import BulkChunk, BulkRecipient, OptOut
from services.bulk.running.counts import apply, totals
from services.bulk.running.endings import note_stopped, without
from services.bulk.running.release import CHECK_SECONDS, followers, next_chunks, pause_reason_of, release, top_up
from services.bulk.running.report import write_report
from services.bulk.running.status_string import PENDING, RANK, char_of, rises, status_of, with_char

log = structlog.get_logger()


# -- people ----------------------------------------------------------------------------------------


async def keep_permission(event: PermissionChanged, ctx: Context) -> None:
    """Updates the copy; records the opt-out of a job's recipient."""
    before = await contact_copy.keep(event, ctx)
    new = event.standing
    if new.opted_out_at is None or new.address is None or (before and before.opted_out_at == new.opted_out_at):
        return
    page = await ctx.query(BulkJob, "active", index="by-active", limit=100)
    recipient_id = BulkRecipient.id_of(new.channel, new.address)
    for job in page.items:
        if job.channel is not new.channel or job.started_at is None:
            continue
        row = await ctx.get(BulkRecipient, job.job_id, recipient_id)
        if row is not None and row.sent_at is not None:
            mine = OptOut(job_id=job.job_id, recipient_id=recipient_id, at=ctx.now, expires_at=row.expires_at)
            await ctx.write(ctx.insert(mine))


# -- the run ---------------------------------------------------------------------------------------


async def job_changed(event: JobChanged, ctx: Context) -> Sequence[Event]:
    """Starts a job at once instead of at the next tick; requests the report of a completed job."""
    job = await ctx.get(BulkJob, event.job_id)
    if job is None or job.version != event.revision:
        return ()
    if job.state == "running":
        return await top_up(job, await totals(job, ctx), ctx)
    if job.state in ("finished", "cancelled"):
        return (ReportAsked(job_id=job.job_id, order=job.reports),)
    return ()


async def chunk_ended(event: ChunkEnded, ctx: Context) -> Sequence[Event]:
    """A sender has finished with a chunk: the recipients it did not start become pending again (or are stopped with
    their job), and further chunks are released."""
    job = await ctx.get(BulkJob, event.job_id)
    if job is None:
        return ()
    stopped = job.state in ("cancelling", "cancelled")

    def fold(chunk: BulkChunk) -> BulkChunk:
        if chunk.release != event.release or chunk.state != "released":
            return chunk
        left = [n for n in event.unsent if chunk.marks[n] == PENDING]
        if not left:
            return chunk.model_copy(update={"state": "ended"})
        if stopped:
            return without(chunk, left)
        return chunk.model_copy(update={"state": "waiting", "not_before": event.not_before})

    folded = await apply(event.job_id, event.chunk, fold, ctx)
    if folded is None or not folded.changed:
        return ()
    if stopped:
        await note_stopped(job, folded.before, folded.after, ctx)
    return await _others_follow(job, event, ctx) if job.state == "running" else ()


async def _others_follow(job: BulkJob, event: ChunkEnded, ctx: Context) -> Sequence[Event]:
    """Returns the rest of this chunk, if the sender yielded, and as many new chunks as there are free slots."""
    rereleased = await release(job, event.chunk, ctx, only=event.unsent) if event.why == "turn" else None
    found = [rereleased] if rereleased else []
    until = (event.not_before - ctx.now).total_seconds() if event.not_before else 0.0
    number = int(event.chunk[1:])
    count = followers(number, event.why, event.lag, len(event.unsent), until)
    if count and number % CHECK_SECONDS == 0 and await pause_reason_of(job, await totals(job, ctx), ctx):
        count = 0  # the tick pauses the job with the reason; until then no further chunks are released
    return [*found, *await next_chunks(job, count, ctx)]


async def message_changed(event: MessageChanged, ctx: Context) -> None:
    """Handles a new status of a job's message: raises the status in the recipient's row and the character in its
    chunk's status string, each by its own rank."""
    char = char_of(event.status)
    parts = (event.job_ref or "").split(".")
    if event.job_id is None or char is None or len(parts) != 4 or parts[0][:1] != "p":
        return
    name, position, recipient_id, attempt = parts[0], int(parts[1]), parts[2], int(parts[3])
    # The reason of a deferred or cancelled message is shown with the recipient; a job's reasons count only failed and
    # skipped recipients.
    code = str(event.error_code or ErrorCode.UNKNOWN) if char in "fku" else None
    why = code or (str(event.error_code) if event.error_code else None)

    def fold(chunk: BulkChunk) -> BulkChunk:
        if chunk.attempt(position) != attempt or not rises(chunk.marks[position], char):
            return chunk
        reasons = {n: why for n, why in chunk.reasons.items() if n != str(position)}
        if code is not None:
            reasons[str(position)] = code
        return chunk.model_copy(update={"marks": with_char(chunk.marks, position, char), "reasons": reasons})

    await asyncio.gather(
        _recipient_moved(event, recipient_id, attempt, char, why, ctx),
        apply(event.job_id, name, fold, ctx, urgent=False),
    )


_TIMES = {"s": "sentAt", "d": "deliveredAt", "r": "readAt"}


async def _recipient_moved(
    event: MessageChanged, recipient_id: str, attempt: int, char: str, code: str | None, ctx: Context
) -> None:
    assert event.job_id is not None
    accepted: Row = {"accepted": True} if char in _TIMES or event.source == "provider" else {}
    times: Row = {_TIMES[char]: iso(event.at)} if char in _TIMES else {}
    change: Row = {"status": status_of(char, True), "rank": RANK[char], "updatedAt": iso(ctx.now), **times, **accepted}
    if code is not None:
        change["reason"] = code
    when = (When("rank", "<", RANK[char]), When("attempt", "=", attempt))
    remove = () if code is not None else ("reason",)
    key = (event.job_id, recipient_id)
    written = await ctx.write(ctx.update(BulkRecipient, *key, set=change, remove=remove, when=when))
    late = {**times, **accepted}
    if not written and late and written.row and any(name not in written.row for name in late):
        # A late report changes no status; that the provider accepted the message is stored all the same.
        await ctx.write(ctx.update(BulkRecipient, *key, set=late, when=(When("jobId", "present"),)))


async def report_asked(event: ReportAsked, ctx: Context) -> Sequence[Event]:
    job = await ctx.get(BulkJob, event.job_id)
    return await write_report(job, event.order, ctx) if job else ()


# -- what providers say ----------------------------------------------------------------------------

_STOPPED_TEMPLATES = frozenset({"PAUSED", "DISABLED", "REJECTED", "FLAGGED", "PENDING_DELETION", "DELETED"})
_BAD_QUALITY = frozenset({"RED", "LOW"})
_BAD_EVENTS = frozenset({"FLAGGED", "DOWNGRADE"})


async def account_noticed(event: AccountNoticed, ctx: Context) -> Sequence[Event]:
    """Pauses the affected jobs after a template was paused or a quality rating dropped. By ledger."""
    outgoing: list[Event] = []
    page = await ctx.query(BulkJob, "active", index="by-active", limit=100)
    for job in page.items:
        if job.state not in ("running", "scheduled") or job.channel is not event.channel:
            continue
        why = _concerns(event, job)
        if why is not None:
            updated, paused_event = jobs.paused(job, why, ctx)
            ctx.stage(ctx.replace(updated))
            outgoing.append(paused_event)
    return outgoing


def _concerns(event: AccountNoticed, job: BulkJob) -> str | None:
    details: dict[str, Any] = event.details
    status = str(details.get("event") or "").upper()
    template = details.get("message_template_name")
    mine = getattr(job.content, "name", None) if job.channel.traits.templates.at_provider else None
    if event.kind == "template_status":
        return (
            f"the template {template} is {status.lower()}"
            if template == mine and status in _STOPPED_TEMPLATES
            else None
        )
    if event.kind != "quality":
        return None
    score = str(details.get("new_quality_score") or "").upper()
    if template is not None:
        return (
            f"the quality of the template {template} is {score.lower()}"
            if template == mine and score in _BAD_QUALITY
            else None
        )
    if status in _BAD_EVENTS and job.purpose is Purpose.MARKETING:
        return f"the quality of the sender went down ({status.lower()})"
    return None
