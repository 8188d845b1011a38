"""Ends recipients of a chunk without a sender: stopped with their job, or impossible to send."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from libs.common.clock import iso
from libs.common.handle.context import Context
from libs.common.store.item import Row
from libs.common.store.ops import When
from libs.messaging.errors import ErrorCode
from services.bulk.model import BulkJob
from services.bulk.running.chunks import BulkChunk, BulkRecipient
from services.bulk.running.counts import apply
from services.bulk.running.status_string import FAILED, PENDING, RANK, STOPPED, status_of, with_char

log = structlog.get_logger()


def without(chunk: BulkChunk, positions: Sequence[int]) -> BulkChunk:
    """Returns the chunk with these recipients stopped."""
    return _marked(chunk, positions, STOPPED)


def _marked(chunk: BulkChunk, positions: Sequence[int], char: str) -> BulkChunk:
    chars = chunk.marks
    for n in positions:
        chars = with_char(chars, n, char)
    return chunk.model_copy(update={"marks": chars, "state": "ended", "not_before": None})


async def note_stopped(job: BulkJob, before: BulkChunk, after: BulkChunk, ctx: Context) -> None:
    """Updates the rows of the recipients that were stopped."""
    await _note(job, before, after, STOPPED, {"reason": ErrorCode.CANCELLED.value}, ctx)


async def refuse_for_good(job: BulkJob, name: str, positions: Sequence[int], detail: str, ctx: Context) -> None:
    """Ends recipients of a chunk that cannot be released to a sender: they failed, with the reason. Nothing of them was
    sent."""
    log.error("a chunk cannot be released", job=job.job_id, chunk=name, recipients=len(positions), why=detail)

    def fold(chunk: BulkChunk) -> BulkChunk:
        mine = [n for n in positions if chunk.marks[n] == PENDING]
        reasons = {**chunk.reasons, **{str(n): ErrorCode.INVALID_CONTENT.value for n in mine}}
        return _marked(chunk, mine, FAILED).model_copy(update={"reasons": reasons})

    folded = await apply(job.job_id, name, fold, ctx)
    if folded is not None and folded.changed:
        why: Row = {"reason": ErrorCode.INVALID_CONTENT.value, "detail": detail}
        await _note(job, folded.before, folded.after, FAILED, why, ctx)


async def _note(job: BulkJob, before: BulkChunk, after: BulkChunk, char: str, why: Row, ctx: Context) -> None:
    changed = [n for n, (old, new) in enumerate(zip(before.marks, after.marks, strict=True)) if old != new]
    change: Row = {"status": status_of(char, True), "rank": RANK[char], "updatedAt": iso(ctx.now), **why}
    ids, when = after.ids, (When("rank", "<", RANK[char]),)
    await asyncio.gather(
        *(ctx.write(ctx.update(BulkRecipient, job.job_id, ids[n], set=change, when=when)) for n in changed)
    )
