"""Releases chunks to the senders, a few at a time; each chunk is released once.

A chunk that ended is replaced by others: by two if it was sent at once (the sender has spare capacity), every second
time by none if it had to wait long (the queue is long enough), else by one. So a job keeps about one second of messages
queued at its sender, at any rate, and limits the wait of another job's chunk. The tick starts a run and recovers lost
events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from libs.common.bus.encoding import MAX_EVENT_BYTES
from libs.common.handle.compare_and_swap import compare_and_swap
from libs.common.handle.context import Context
from libs.common.store.ops import When, Write
from libs.messaging.events.bulk import Addressee, ChunkReleased
from libs.messaging.settings import MessagingSettings
from services.bulk.model import BulkJob
from services.bulk.planning.event_size import event_bytes
from services.bulk.running.auto_pause import opt_outs_allowed, pause_reason
from services.bulk.running.chunks import BulkChunk, BulkRecipient, Frontier, OptOut, chunk_name
from services.bulk.running.counts import Totals, apply
from services.bulk.running.endings import refuse_for_good
from services.bulk.running.status_string import PENDING

#: Minimum number of chunks released to the sender at the same time; a run starts with as many.
MIN_CHUNKS_OUT = 4
MAX_CHUNKS_OUT = 40
#: A chunk that waited less than the first (s) is replaced by two; of those that waited longer than the second, every
#: second one by none.
MIN_CHUNK_SECONDS, MAX_CHUNK_SECONDS = 1.0, 4.0
#: The auto-pause rules are checked every this many chunks, in addition to the tick: a fast job sends much between two
#: ticks.
CHECK_SECONDS = 2
#: A deferral of at most this (s) is a wait for the provider.
SOON_SECONDS = 60
#: A chunk without any report for this long is released again, with the same ids.
OVERDUE = timedelta(seconds=90)


def followers(number: int, why: str, lag: float, unsent: int, until: float) -> int:
    """Returns how many chunks to release after chunk ``number`` has ended: it waited ``lag`` seconds; ``unsent``
    recipients were returned and deferred for ``until`` seconds."""
    if why not in ("done", "wait"):
        return 0
    if why == "wait" and until < SOON_SECONDS:
        return 0  # the provider does not respond; the tick retries
    if unsent:
        return 1  # some are deferred for long; others may be sent now
    if lag < MIN_CHUNK_SECONDS:
        return 2
    # Chunks released together wait equally long: if none of them were replaced, the sender's queue would run empty.
    return 1 if lag < MAX_CHUNK_SECONDS or number % CHECK_SECONDS == 0 else 0


async def release(
    job: BulkJob, name: str, ctx: Context, *, rerelease: bool = False, only: Sequence[int] | None = None
) -> ChunkReleased | None:
    """Releases a waiting chunk (``rerelease``: or one already released); None if there is nothing to release. ``only``:
    the recipients known not to have been started; reports on the others may still arrive."""
    now = ctx.now

    def fold(chunk: BulkChunk) -> BulkChunk:
        waits = chunk.state == "waiting" and (chunk.not_before is None or chunk.not_before <= now)
        if PENDING not in chunk.marks or not (waits or (rerelease and chunk.state == "released")):
            return chunk
        change = {"state": "released", "release": chunk.release + 1, "released_at": now, "not_before": None}
        return chunk.model_copy(update=change)

    folded = await apply(job.job_id, name, fold, ctx)
    if folded is None or not folded.changed:
        return None
    event = await released(job, folded.after, ctx, only)
    size = event_bytes(event)
    if size > MAX_EVENT_BYTES:
        # Planning limits the size of chunks; a larger one from an older build would be rejected by the bus every time.
        why = f"The chunk would be an event of {size:,} bytes; {MAX_EVENT_BYTES:,} can go."
        await refuse_for_good(job, name, [who.position for who in event.addressees], why, ctx)
        return None
    return event


async def released(job: BulkJob, chunk: BulkChunk, ctx: Context, only: Sequence[int] | None = None) -> ChunkReleased:
    """Returns the event of a released chunk, with its recipients that are still pending."""
    ids = chunk.ids
    positions = [n for n, char in enumerate(chunk.marks) if char == PENDING and (only is None or n in only)]
    rows = await asyncio.gather(*(ctx.get(BulkRecipient, job.job_id, ids[n]) for n in positions))
    addressees = tuple(
        Addressee(
            position=n,
            message_id=row.message_id(job.channel, chunk.attempt(n)),
            contact_id=row.contact_id,
            ref=f"{chunk.chunk}.{n}.{row.recipient_id}.{chunk.attempt(n)}",
            variables=row.variables,
        )
        for n, row in zip(positions, rows, strict=True)
        if row is not None
    )
    return ChunkReleased(
        job_id=job.job_id,
        chunk=chunk.chunk,
        release=chunk.release,
        revision=job.version,
        channel=job.channel,
        purpose=job.purpose,
        sender=job.sender,
        content=job.content,
        throttle_per_second=job.throttle_per_second,
        released_at=chunk.released_at or ctx.now,
        expires_at=job.expires(ctx.now),
        addressees=addressees,
    )


async def next_chunks(job: BulkJob, count: int, ctx: Context) -> list[ChunkReleased]:
    """Releases up to ``count`` chunks that were never released; concurrent callers get different chunks."""
    found: list[ChunkReleased] = []
    while len(found) < count:
        number = await _taken(job, ctx)
        if number is None:
            break
        event = await release(job, chunk_name(number), ctx)
        if event is not None:
            found.append(event)
    return found


async def _taken(job: BulkJob, ctx: Context) -> int | None:
    """Reserves the number of the next chunk for this caller; None: there is no further one."""

    def taken(row: Frontier | None) -> tuple[Write | None, int | None]:
        number = row.next if row else 0
        if number >= job.progress.chunks:
            return None, None
        if row is None:
            expires = int(job.expires(ctx.now).timestamp()) + 90 * 86400
            return ctx.insert(Frontier(job_id=job.job_id, next=1, expires_at=expires)), 0
        when = (When("next", "=", number),)
        return ctx.update(Frontier, job.job_id, set={"next": number + 1}, when=when), number

    return await compare_and_swap(ctx, Frontier, (job.job_id,), taken)


async def is_due_again(job: BulkJob, seen: Totals, ctx: Context) -> tuple[list[str], list[str]]:
    """Returns the chunks before the frontier that wait and are due, and those without a report for too long. ``seen``
    may be slightly outdated; the state is checked again before a release."""
    frontier = await ctx.get(Frontier, job.job_id)
    reached = frontier.next if frontier else 0
    now = ctx.now.timestamp()
    waiting = [
        name
        for name in seen.in_state("waiting")
        if int(name[1:]) < reached and seen.lines[name][2].get("pending") and seen.waits_until(name) <= now
    ]
    rows = await asyncio.gather(
        *(ctx.get(BulkChunk, job.job_id, name) for name in seen.in_state("released")[: MAX_CHUNKS_OUT * 2])
    )
    wait = OVERDUE * ctx.settings.of(MessagingSettings).window_scale
    lost = [
        row.chunk
        for row in rows
        if row is not None
        and row.state == "released"
        and row.released_at is not None
        and row.released_at + wait * row.release < ctx.now
    ]
    return waiting, lost


async def top_up(job: BulkJob, seen: Totals, ctx: Context) -> list[ChunkReleased]:
    """Releases what a running job needs: its first chunks, and those that were returned or lost."""
    found: list[ChunkReleased] = []
    in_hand = len(seen.in_state("released"))
    waiting, lost = await is_due_again(job, seen, ctx)
    for name in (*lost, *waiting)[:MAX_CHUNKS_OUT]:
        event = await release(job, name, ctx, rerelease=name in lost)
        if event is not None:
            found.append(event)
    return [*found, *await next_chunks(job, MIN_CHUNKS_OUT - in_hand - len(found), ctx)]


async def pause_reason_of(job: BulkJob, seen: Totals, ctx: Context) -> str | None:
    """Returns the auto-pause rule that applies, with its figures; or None."""
    counts, reasons = seen.of_run()
    why = pause_reason(job.channel, counts, reasons, job.brake_base)
    if why is not None:
        return why
    allowed = opt_outs_allowed(counts) + job.brake_base.get("optOuts", 0)
    page = await ctx.query(OptOut, job.job_id, limit=allowed + 1)
    return f"{len(page.items)} recipients opted out" if len(page.items) > allowed else None
