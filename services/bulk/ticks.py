"""Tick actions, every few seconds: start, continue, stop and finish jobs; and the auditor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from libs.common.clock import iso
from libs.common.declare.service import TickAction
from libs.common.handle.context import Context
from libs.common.stable_hash import shard_for
from libs.common.store.ops import When
from libs.messaging.errors import EXPLANATIONS
from libs.messaging.events.bulk import ChunkCalledBack, PlanAsked
from libs.messaging.settings import MessagingSettings
from services.bulk import jobs
from services.bulk.model import BulkJob
from services.bulk.planning import steps as planning
from services.bulk.running.chunks import GROUP_CHUNKS, BulkChunk, BulkRecipient, Frontier, chunk_name, message_id
from services.bulk.running.counts import Totals, apply, totals
from services.bulk.running.endings import note_stopped, without
from services.bulk.running.release import OVERDUE, pause_reason_of, top_up
from services.bulk.running.report import audited
from services.bulk.running.status_string import CLAIMED, FAILED, PENDING, with_char

TICK_SECONDS = 2
AUDIT_SECONDS = 60
#: Maximum chunks that one tick stops or retries.
MAX_CHUNKS = 100
#: Chunks of each job that one audit reads, in rotation.
MAX_AUDITED_CHUNKS = 10
#: A planning step without progress for this long is requested again.
PLANNING_OVERDUE = timedelta(seconds=120)
#: After this many tries (one a minute or so) the job is rejected.
MAX_PLAN_TRIES = 10


async def look_after(ctx: Context) -> AsyncIterator[TickAction]:
    """Manages every active job."""
    async for job in ctx.query_all(BulkJob, "active", index="by-active", between=("0", iso(ctx.now)), limit=100):
        async for action in _manage(job, ctx):
            yield action


async def _manage(job: BulkJob, ctx: Context) -> AsyncIterator[TickAction]:
    if job.state == "planning":
        async for action in _planning(job, ctx):
            yield action
    elif job.state == "rejected":
        async for action in _rejected(job, ctx):
            yield action
    elif job.state == "scheduled":
        if job.start_at is None or job.start_at <= ctx.now:
            yield _step(job, jobs.moved(job, ctx, "running", started_at=ctx.now), ctx)
    elif job.state in ("running", "cancelling", "finished", "cancelled"):
        seen = await totals(job, ctx)
        async for action in {"running": _running, "cancelling": _cancelling}.get(job.state, _settling)(job, seen, ctx):
            yield action


async def _planning(job: BulkJob, ctx: Context) -> AsyncIterator[TickAction]:
    """Requests a stalled planning step again, a limited number of times. Counts tries rather than time: no try was made
    during an outage of the platform."""
    if job.updated_at + PLANNING_OVERDUE >= ctx.now:
        return
    if job.plan_tries >= MAX_PLAN_TRIES:
        yield _step(job, jobs.rejected(job, planning.failed(job), ctx), ctx)
        return
    minute = int(ctx.now.timestamp() // 60)
    updated = job.model_copy(update={"plan_tries": job.plan_tries + 1})
    plan_asked = PlanAsked(job_id=job.job_id, part=job.progress.part)
    yield TickAction(f"{job.job_id}#plan#{job.progress.part}#{minute}", (ctx.replace(updated),), (plan_asked,))


async def _rejected(job: BulkJob, ctx: Context) -> AsyncIterator[TickAction]:
    """Stops the recipients planned before the job was rejected."""
    seen = await totals(job, ctx)
    await _stop_waiting(job, seen, ctx)
    if not seen.open():
        updated = job.model_copy(update={"active": None, "updated_at": ctx.now})
        yield TickAction(f"{job.job_id}#{job.version}#put-away", (ctx.replace(updated),))


async def _cancelling(job: BulkJob, seen: Totals, ctx: Context) -> AsyncIterator[TickAction]:
    await _stop_waiting(job, seen, ctx)
    async for action in _call_back(job, seen, ctx):
        yield action
    if not seen.open():
        yield _step(job, jobs.ended(job, seen, ctx), ctx)


async def _running(job: BulkJob, seen: Totals, ctx: Context) -> AsyncIterator[TickAction]:
    if job.end_at is not None and job.end_at <= ctx.now:
        yield _step(job, jobs.cancelled(job, "its end time has passed", ctx), ctx)
        return
    why = await pause_reason_of(job, seen, ctx)
    if why is not None:
        yield _step(job, jobs.paused(job, f"brake: {why}", ctx), ctx)
        return
    if job.retrying is not None:
        await retry_group(job, job.retrying, ctx)
        over = (job.retrying + 1) * GROUP_CHUNKS >= job.progress.chunks
        updated = job.model_copy(update={"retrying": None if over else job.retrying + 1, "updated_at": ctx.now})
        yield TickAction(f"{job.job_id}#retry#{job.version}", (ctx.replace(updated),))
        return
    for event in await top_up(job, seen, ctx):
        yield TickAction(f"{job.job_id}#{event.chunk}#{event.release}", events=(event,))
    if not seen.open():
        frontier = await ctx.get(Frontier, job.job_id)
        if frontier is not None and frontier.next >= job.progress.chunks:
            yield _step(job, jobs.ended(job, seen, ctx), ctx)


def _step(job: BulkJob, both: tuple[BulkJob, object], ctx: Context) -> TickAction:
    updated, event = both
    return TickAction(f"{job.job_id}#{job.version}#{updated.state}", (ctx.replace(updated),), (event,))  # type: ignore[arg-type]


async def _settling(job: BulkJob, seen: Totals, ctx: Context) -> AsyncIterator[TickAction]:
    """Waits for late receipts after the last send; the report is final once none can arrive."""
    waits = seen.counts["sent"] + seen.counts["uncertain"] + seen.counts["delivered"]
    settling = jobs.SETTLING_TIME * ctx.settings.of(MessagingSettings).window_scale
    over = (job.finished_at or ctx.now) + settling <= ctx.now
    if waits and not over:
        updated = job.model_copy(update={"look_at": ctx.now + timedelta(seconds=60), "updated_at": ctx.now})
        yield TickAction(f"{job.job_id}#{job.version}#settling", (ctx.replace(updated),))
    else:
        both = jobs.moved(job, ctx, why=job.why, settled_at=ctx.now, active=None, reports=job.reports + 1)
        yield _step(job, both, ctx)


async def _stop_waiting(job: BulkJob, seen: Totals, ctx: Context) -> None:
    """Stops waiting chunks; chunks with a sender are returned by it, or are considered lost after a while."""
    waiting = [name for name in seen.in_state("waiting") if seen.lines[name][2].get("pending")][:MAX_CHUNKS]
    in_hand = [name for name in seen.in_state("released")][:MAX_CHUNKS]
    lost_by = ctx.now - OVERDUE * ctx.settings.of(MessagingSettings).window_scale

    async def stop(name: str) -> None:
        def fold(chunk: BulkChunk) -> BulkChunk:
            lost = chunk.state == "released" and chunk.released_at is not None and chunk.released_at < lost_by
            if chunk.state != "waiting" and not lost:
                return chunk
            return without(chunk, [n for n, char in enumerate(chunk.marks) if char == PENDING])

        folded = await apply(job.job_id, name, fold, ctx)
        if folded is not None and folded.changed:
            await note_stopped(job, folded.before, folded.after, ctx)

    await asyncio.gather(*(stop(name) for name in [*waiting, *in_hand]))


async def _call_back(job: BulkJob, seen: Totals, ctx: Context) -> AsyncIterator[TickAction]:
    """Recalls recipients that a sender has deferred, without waiting for the end of the deferral. Repeated each minute,
    in case the event is lost."""
    here = set(seen.in_state("waiting"))
    waits = [name for name, line in seen.lines.items() if line[2].get("pending") and name not in here][:MAX_CHUNKS]
    chunks = await asyncio.gather(*(ctx.get(BulkChunk, job.job_id, name) for name in waits))
    minute = int(ctx.now.timestamp() // 60)
    for chunk in chunks:
        if chunk is None:
            continue
        ids = tuple(
            message_id(job.job_id, who, job.channel, chunk.attempt(n))
            for n, (who, char) in enumerate(zip(chunk.ids, chunk.marks, strict=True))
            if char == CLAIMED
        )
        if ids:
            event = ChunkCalledBack(
                job_id=job.job_id, chunk=chunk.chunk, channel=job.channel, message_ids=ids, at=ctx.now
            )
            yield TickAction(f"{job.job_id}#{chunk.chunk}#back#{chunk.version}#{minute}", events=(event,))


async def retry_group(job: BulkJob, group: int, ctx: Context) -> int:
    """Gives failed recipients of 100 chunks another attempt, if they may succeed now and were never accepted."""
    last = min((group + 1) * GROUP_CHUNKS, job.progress.chunks)
    done = await asyncio.gather(*(_retry(job, chunk_name(n), ctx) for n in range(group * GROUP_CHUNKS, last)))
    return sum(done)


async def _retry(job: BulkJob, name: str, ctx: Context) -> int:
    chunk = await ctx.get(BulkChunk, job.job_id, name)
    if chunk is None or FAILED not in chunk.marks:
        return 0
    failed = [n for n, char in enumerate(chunk.marks) if char == FAILED]
    opened = await asyncio.gather(*(_opened(job, chunk, n, ctx) for n in failed))
    retried = {n: attempt for n, attempt in zip(failed, opened, strict=True) if attempt is not None}
    if not retried:
        return 0

    def fold(now: BulkChunk) -> BulkChunk:
        mine = [n for n, attempt in retried.items() if now.marks[n] == FAILED and now.attempt(n) == attempt - 1]
        if not mine:
            return now
        chars = now.marks
        for n in mine:
            chars = with_char(chars, n, PENDING)
        attempts = {**now.attempts, **{str(n): retried[n] for n in mine}}
        reasons = {n: why for n, why in now.reasons.items() if int(n) not in retried}
        change = {"marks": chars, "attempts": attempts, "reasons": reasons, "state": "waiting", "not_before": None}
        return now.model_copy(update=change)

    await apply(job.job_id, name, fold, ctx)
    return len(retried)


async def _opened(job: BulkJob, chunk: BulkChunk, position: int, ctx: Context) -> int | None:
    """Returns the number of the new attempt; None if there is to be none."""
    row = await ctx.get(BulkRecipient, job.job_id, chunk.ids[position])
    attempt = chunk.attempt(position)
    if row is None:
        return None
    if row.attempt == attempt + 1:
        return row.attempt  # opened before a crash
    retryable = row.reason is not None and EXPLANATIONS[row.reason].retryable
    if row.status != "failed" or row.accepted or not retryable or row.attempt != attempt:
        return None
    change = {"status": "pending", "rank": 0, "attempt": attempt + 1, "updatedAt": iso(ctx.now)}
    when = (When("attempt", "=", attempt), When("status", "=", "failed"), When("accepted", "missing"))
    written = await ctx.write(
        ctx.update(BulkRecipient, job.job_id, row.recipient_id, set=change, remove=("reason", "detail"), when=when)
    )
    return attempt + 1 if written else None


async def audit(ctx: Context) -> AsyncIterator[TickAction]:
    """Recounts some chunks of each running job from their recipients, in rotation; a drift raises an alarm."""
    page = await ctx.query(BulkJob, "active", index="by-active", limit=100)
    minute = int(ctx.now.timestamp() // AUDIT_SECONDS)
    for job in page.items:
        chunks = job.progress.chunks
        if job.started_at is None or not chunks:
            continue
        begin = shard_for(f"{job.job_id}{minute}", chunks)
        for n in range(begin, min(begin + MAX_AUDITED_CHUNKS, chunks)):
            found = await audited(job, chunk_name(n), ctx)
            if found is not None:
                yield TickAction(f"{job.job_id}#{found.chunk}#drift#{minute}", events=(found,))
