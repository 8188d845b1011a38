"""The replayer: takes each letter of a job, sends it back to its queue at the job's rate, and notes how far it has come.

    take (only if it still waits, or this job took it before) -> send -> note on the letter -> note on the job

A letter is taken by a condition, so that two jobs, two operators or two clicks send it once. The job's position moves only
after the sends: a replayer that dies leaves letters that its job has taken, and whoever goes on sends exactly those
again, with the same event id, which their handlers recognise. Nothing is lost and nothing takes effect twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.common.clock import drawn_id, iso
from libs.common.context import Context
from libs.common.event import Event
from libs.common.service import Step
from libs.common.store.ops import When
from services.dlq_replay import steps
from services.dlq_replay.handlers import change, decided
from services.dlq_replay.jobs import job_changed
from services.dlq_replay.model import CHUNK, DLQMessage, ReplayChunk, ReplayJob, State, place_of, shard_of

#: How often a process looks for jobs.
SECONDS = 2
#: A job whose replayer has not been heard of for so long is taken over.
LEASE = timedelta(seconds=10)
#: One turn; the next begins :data:`SECONDS` later and keeps the pace.
TURN = timedelta(seconds=50)
#: Letters in one batch: a quarter of a second's worth, within these bounds. A transaction and a batch write stay small.
LEAST, MOST = 1, 50
BEAT = 0.25
#: How far a replay may run after its schedule before it gives up catching up: 5 % of ten seconds.
CATCH_UP = timedelta(seconds=0.5)
_UNDERWAY = ("running", "pausing", "cancelling")


@dataclass
class _Run:
    """A job that this process works on."""

    job_id: str
    next_at: datetime
    chunks: dict[str, tuple[str, ...]] = field(default_factory=dict)


async def replay_letters(ctx: Context) -> AsyncIterator[Step]:
    """Work on every job that is not in other hands, for one turn."""
    owner, runs = drawn_id(), dict[str, _Run]()
    until, look_at = ctx.now + TURN, ctx.now
    while ctx.now < until:
        if ctx.now >= look_at:
            await _find(owner, runs, ctx)
            look_at = ctx.now + timedelta(seconds=SECONDS)
        if not runs:
            return
        run = min(runs.values(), key=lambda each: each.next_at)
        wait = (min(run.next_at, look_at) - ctx.now).total_seconds()
        if wait > 0:
            await ctx.clock.sleep(wait)
        if ctx.now < run.next_at:
            continue
        job = await ctx.get(ReplayJob, run.job_id)
        if job is None or job.owner != owner or job.state not in _UNDERWAY:
            del runs[run.job_id]
            continue
        yield await (_batch(job, run, owner, ctx) if job.state == "running" else _rest(job, run, owner, ctx))


async def _find(owner: str, runs: dict[str, _Run], ctx: Context) -> None:
    page = await ctx.query(ReplayJob, "open", index="by-open", limit=20)
    for job in page.items:
        if job.job_id in runs or job.lease_until > ctx.now or job.state not in _UNDERWAY:
            continue
        lease = {"owner": owner, "leaseUntil": iso(ctx.now + LEASE)}
        free = (When("open", "present"), When("leaseUntil", "=", iso(job.lease_until)))
        if await ctx.write(ctx.update(ReplayJob, job.job_id, set=lease, when=free)):
            runs[job.job_id] = _Run(job.job_id, max(job.next_at or ctx.now, ctx.now - CATCH_UP))


async def _batch(job: ReplayJob, run: _Run, owner: str, ctx: Context) -> Step:
    """The next letters, sent. The step that is returned moves the job past them."""
    size = max(LEAST, min(MOST, int(job.rate * BEAT)))
    ids = await _ids(job, run, size, ctx)
    letters = await asyncio.gather(*(_send(each, job, ctx) for each in ids))
    sent = [letter for letter in letters if letter is not None]
    run.next_at = max(run.next_at, ctx.now - CATCH_UP) + timedelta(seconds=len(sent) / job.rate)
    position = job.position + len(ids)
    done = position >= job.total
    after = job.model_copy(
        update={
            "position": position,
            "sent": job.sent + len(sent),
            "skipped": job.skipped + len(ids) - len(sent),
            "started_at": job.started_at or (ctx.now if sent else None),
            "state": "done" if done else job.state,
            "finished_at": ctx.now if done else None,
        }
    )
    said: list[Event] = [decided(each, "replayed", job.by, job.why, ctx.now, job.job_id) for each in sent]
    if done:
        said.append(job_changed(after, job.by, "", ctx.now))
    return _step(job, after, run, owner, ctx, said)


async def _rest(job: ReplayJob, run: _Run, owner: str, ctx: Context) -> Step:
    """Somebody asked it to stop: what it has taken is still sent, so that no letter is left in between."""
    ids = await _ids(job, run, MOST, ctx)
    await asyncio.gather(*(_send(each, job, ctx, take=False) for each in ids))
    state = {"pausing": "paused", "cancelling": "cancelled"}[job.state]
    after = job.model_copy(update={"state": state, "finished_at": ctx.now if state == "cancelled" else None})
    by = job.history[-1].by if job.history else job.by
    return _step(job, after, run, owner, ctx, [job_changed(after, by, "", ctx.now)])


def _step(job: ReplayJob, after: ReplayJob, run: _Run, owner: str, ctx: Context, said: list[Event]) -> Step:
    """The job's row, moved from exactly where it stood; whoever lost the lease meanwhile moves nothing."""
    changes: dict[str, Any] = {
        "position": after.position,
        "sent": after.sent,
        "skipped": after.skipped,
        "state": after.state,
        "leaseUntil": iso(ctx.now + LEASE),
        "nextAt": iso(run.next_at),
    }
    changes |= {"startedAt": iso(after.started_at)} if after.started_at else {}
    changes |= {"finishedAt": iso(after.finished_at)} if after.finished_at else {}
    over = after.state not in _UNDERWAY
    if over:
        # Free at once, should it be resumed.
        changes["leaseUntil"] = iso(ctx.now)
    when = (When("owner", "=", owner), When("position", "=", job.position), When("state", "=", job.state))
    write = ctx.update(ReplayJob, job.job_id, set=changes, remove=("open", "owner") if over else (), when=when)
    key = f"{job.job_id}#{job.position}#{after.state}#{job.version}"
    return Step(key, (write,), tuple(said))


async def _ids(job: ReplayJob, run: _Run, size: int, ctx: Context) -> list[str]:
    """The next ids of the job, from its rows; a row is read once in a turn."""
    ids: list[str] = []
    for position in range(job.position, min(job.position + size, job.total)):
        n, at = divmod(position, CHUNK)
        name = ReplayChunk.name(n)
        if name not in run.chunks:
            chunk = await ctx.get(ReplayChunk, job.job_id, name)
            run.chunks = {name: chunk.ids if chunk else ()}
        ids.append(run.chunks[name][at])
    return ids


async def _send(dlq_message_id: str, job: ReplayJob, ctx: Context, take: bool = True) -> DLQMessage | None:
    """The letter, if this job has sent it (now or before); None if it is not this job's to send."""
    letter = await ctx.get(DLQMessage, dlq_message_id)
    if letter is None:
        return None
    if letter.job_id == job.job_id:
        if letter.state is not State.REPLAYING:
            return letter
    else:
        wanted = (State.WAITING, State.QUARANTINED) if job.force else (State.WAITING,)
        if not take or letter.state not in wanted:
            return None
        before, letter = letter, steps.taken(letter, job.job_id, job.by, job.why, ctx.now)
        if not await ctx.write(change(ctx, before, letter)):
            # Somebody was faster, or it died once more just now; what it is then is looked at anew.
            return await _send(dlq_message_id, job, ctx, take)
    body, attributes = letter.to_send()
    await ctx.requeue(letter.queue, body, attributes)
    place = place_of(State.REPLAYED, shard_of(dlq_message_id))
    sent = {"state": State.REPLAYED.value, "place": place, "replayedAt": iso(ctx.now)}
    # Not if it has already died again.
    still = (When("state", "=", State.REPLAYING.value), When("decision", "=", letter.decision))
    await ctx.write(ctx.update(DLQMessage, dlq_message_id, set=sent, when=still))
    return letter
