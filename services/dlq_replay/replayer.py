"""The replayer: takes each dead letter of a job, sends it back to its queue at the job's rate, and records its
progress.

    take (only if it is waiting, or already taken by this job) -> send -> record in the dead letter -> record in the job

A dead letter is taken with a conditional write, so that two jobs, two operators or two clicks send it once. The job's
position is advanced only after the sends: after a crash of the replayer some dead letters are taken but not recorded as
sent, and the next owner sends exactly those again, with the same event id, which handlers deduplicate. Nothing is lost
and nothing takes effect twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.common.clock import iso, random_id
from libs.common.declare.event import Event
from libs.common.declare.service import TickAction
from libs.common.handle.context import Context
from libs.common.store.ops import When
from services.dlq_replay import transitions
from services.dlq_replay.decisions import change, decided
from services.dlq_replay.jobs import job_changed
from services.dlq_replay.model import DLQMessage, State, shard_of, slot_of
from services.dlq_replay.replay_job import CHUNK_DEAD_LETTERS, ReplayChunk, ReplayJob

#: How often a process looks for jobs.
TICK_SECONDS = 2
#: A job whose replayer has not renewed its lease for this long is taken over.
LEASE_TIME = timedelta(seconds=10)
#: Maximum duration of one turn; the next begins about :data:`TICK_SECONDS` later and keeps the rate.
MAX_TURN = timedelta(minutes=4)
#: Dead letters in one batch: those of one second, within these limits.
MIN_BATCH, MAX_BATCH = 1, 100
#: Dead letters are sent in groups: those of 0.2 s, at most one SQS batch.
GROUP_DEAD_LETTERS = 10
#: How far a replay may fall behind its schedule before it stops catching up: 5 % of ten seconds.
MAX_CATCH_UP = timedelta(seconds=0.5)
_UNDERWAY = ("running", "pausing", "cancelling")


@dataclass
class _Run:
    """A job that this process works on. ``task`` prepares its steps, one at a time."""

    job_id: str
    next_at: datetime
    chunks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None


@dataclass
class _Ready:
    """A prepared step of a job, and the signal that it has been executed."""

    step: TickAction
    taken: asyncio.Event = field(default_factory=asyncio.Event)


async def replay_letters(ctx: Context) -> AsyncIterator[TickAction]:
    """Works on every job without another owner, for one turn; jobs run concurrently."""
    owner, runs, ready = random_id(), dict[str, _Run](), asyncio.Queue[_Ready]()
    until = ctx.now + MAX_TURN
    looked_at: datetime | None = None
    getter: asyncio.Task[_Ready] | None = None
    try:
        while True:
            due = looked_at is None or looked_at + timedelta(seconds=TICK_SECONDS) <= ctx.now < until
            if due:
                looked_at = ctx.now
                for run in await _find(owner, runs, ctx):
                    run.task = asyncio.create_task(_work(run, owner, until, ready, ctx))
                    runs[run.job_id] = run
            working = {run.task for run in runs.values() if run.task}
            if not working:
                return
            getter = getter or asyncio.create_task(ready.get())
            await asyncio.wait({getter, *working}, timeout=TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if getter.done():
                one, getter = getter.result(), None
                yield one.step
                one.taken.set()
            for run in [run for run in runs.values() if run.task and run.task.done() and ready.empty()]:
                del runs[run.job_id]
                assert run.task
                run.task.result()
    finally:
        for task in (getter, *(run.task for run in runs.values())):
            if task is not None:
                task.cancel()


async def _work(run: _Run, owner: str, until: datetime, ready: asyncio.Queue[_Ready], ctx: Context) -> None:
    """Works on one job, batch by batch, until it is over, has another owner, or the turn ends; its lease is then
    released at once."""
    while True:
        job = await ctx.get(ReplayJob, run.job_id)
        if job is None or job.owner != owner or job.state not in _UNDERWAY:
            return
        if ctx.now >= until:
            free = {"leaseUntil": iso(ctx.now)}
            await ctx.write(ctx.update(ReplayJob, run.job_id, set=free, when=(When("owner", "=", owner),)))
            return
        batch = _batch if job.state == "running" else _rest
        made = _Ready(await batch(job, run, owner, ctx))
        await ready.put(made)
        await made.taken.wait()


async def _find(owner: str, runs: dict[str, _Run], ctx: Context) -> list[_Run]:
    """Takes the leases of jobs without an owner and returns them."""
    found = []
    page = await ctx.query(ReplayJob, "open", index="by-open", limit=20)
    for job in page.items:
        if job.job_id in runs or job.lease_until > ctx.now or job.state not in _UNDERWAY:
            continue
        lease = {"owner": owner, "leaseUntil": iso(ctx.now + LEASE_TIME)}
        free = (When("open", "present"), When("leaseUntil", "=", iso(job.lease_until)))
        if await ctx.write(ctx.update(ReplayJob, job.job_id, set=lease, when=free)):
            found.append(_Run(job.job_id, max(job.next_at or ctx.now, ctx.now - MAX_CATCH_UP)))
    return found


async def _batch(job: ReplayJob, run: _Run, owner: str, ctx: Context) -> TickAction:
    """Takes the next dead letters concurrently and sends them at the job's rate. The returned step advances the job
    past them."""
    ids = await _ids(job, run, max(MIN_BATCH, min(MAX_BATCH, int(job.rate))), ctx)
    dead_letters = [each for each in await asyncio.gather(*(_take(each, job, ctx) for each in ids)) if each is not None]
    begun = ctx.now
    await _paced([each for each in dead_letters if each.state is State.REPLAYING], job.rate, run, ctx)
    position = job.position + len(ids)
    done = position >= job.total
    after = job.model_copy(
        update={
            "position": position,
            "sent": job.sent + len(dead_letters),
            "skipped": job.skipped + len(ids) - len(dead_letters),
            "started_at": job.started_at or (begun if dead_letters else None),
            "state": "done" if done else job.state,
            "finished_at": ctx.now if done else None,
        }
    )
    events: list[Event] = [decided(each, "replayed", job.by, job.why, ctx.now, job.job_id) for each in dead_letters]
    if done:
        events.append(job_changed(after, job.by, "", ctx.now))
    return _replay_action(job, after, run, owner, ctx, events)


async def _paced(dead_letters: list[DLQMessage], rate: float, run: _Run, ctx: Context) -> None:
    """Sends the dead letters; a group does not wait for the completion of the previous one."""
    size = max(1, min(GROUP_DEAD_LETTERS, int(rate / 5)))
    sends: list[asyncio.Task[None]] = []
    try:
        for n in range(0, len(dead_letters), size):
            some = dead_letters[n : n + size]
            wait = (run.next_at - ctx.now).total_seconds()
            if wait > 0:
                await ctx.clock.sleep(wait)
            run.next_at = max(run.next_at, ctx.now - MAX_CATCH_UP) + timedelta(seconds=len(some) / rate)
            sends += [asyncio.create_task(_send(dead_letter, ctx)) for dead_letter in some]
        await asyncio.gather(*sends)
    finally:
        for send in sends:
            send.cancel()


async def _rest(job: ReplayJob, run: _Run, owner: str, ctx: Context) -> TickAction:
    """Stops a job on request: sends the dead letters it has already taken, so that none stays in between."""
    ids = await _ids(job, run, MAX_BATCH, ctx)
    dead_letters = await asyncio.gather(*(_take(each, job, ctx, new=False) for each in ids))
    await asyncio.gather(*(_send(each, ctx) for each in dead_letters if each and each.state is State.REPLAYING))
    state = {"pausing": "paused", "cancelling": "cancelled"}[job.state]
    after = job.model_copy(update={"state": state, "finished_at": ctx.now if state == "cancelled" else None})
    by = job.history[-1].by if job.history else job.by
    return _replay_action(job, after, run, owner, ctx, [job_changed(after, by, "", ctx.now)])


def _replay_action(
    job: ReplayJob, after: ReplayJob, run: _Run, owner: str, ctx: Context, events: list[Event]
) -> TickAction:
    """Returns the step that advances the job's row from the position read; it has no effect if the lease was lost
    meanwhile."""
    changes: dict[str, Any] = {
        "position": after.position,
        "sent": after.sent,
        "skipped": after.skipped,
        "leaseUntil": iso(ctx.now + LEASE_TIME),
        "nextAt": iso(run.next_at),
    }
    changes |= {"startedAt": iso(after.started_at)} if after.started_at else {}
    changes |= {"finishedAt": iso(after.finished_at)} if after.finished_at else {}
    over = after.state not in _UNDERWAY
    if over:
        # Releases the lease at once, in case the job is resumed.
        changes["leaseUntil"] = iso(ctx.now)
    # Counts the sent dead letters even if a stop was requested meanwhile; the request is handled next.
    when = [When("owner", "=", owner), When("position", "=", job.position)]
    if after.state != job.state:
        changes["state"] = after.state
    if job.state != "running":
        when.append(When("state", "=", job.state))
    write = ctx.update(ReplayJob, job.job_id, set=changes, remove=("open", "owner") if over else (), when=tuple(when))
    key = f"{job.job_id}#{job.position}#{after.state}#{job.version}"
    return TickAction(key, (write,), tuple(events))


async def _ids(job: ReplayJob, run: _Run, size: int, ctx: Context) -> list[str]:
    """Returns the next ids of the job, from its rows; a row is read once per turn."""
    ids: list[str] = []
    for position in range(job.position, min(job.position + size, job.total)):
        n, at = divmod(position, CHUNK_DEAD_LETTERS)
        name = ReplayChunk.name(n)
        if name not in run.chunks:
            chunk = await ctx.get(ReplayChunk, job.job_id, name)
            run.chunks = {name: chunk.ids if chunk else ()}
        ids.append(run.chunks[name][at])
    return ids


async def _take(dlq_message_id: str, job: ReplayJob, ctx: Context, new: bool = True) -> DLQMessage | None:
    """Returns the dead letter as taken by this job: ``replaying`` if it is to be sent, else already sent. None: it is
    not taken by this job."""
    dead_letter = await ctx.get(DLQMessage, dlq_message_id)
    if dead_letter is None:
        return None
    if dead_letter.job_id == job.job_id:
        return dead_letter
    wanted = (State.WAITING, State.QUARANTINED) if job.force else (State.WAITING,)
    if not new or dead_letter.state not in wanted:
        return None
    after = transitions.taken(dead_letter, job.job_id, job.by, job.why, ctx.now)
    if await ctx.write(change(ctx, dead_letter, after)):
        return after
    # A concurrent write or a further failure changed it; it is read again.
    return await _take(dlq_message_id, job, ctx, new)


async def _send(dead_letter: DLQMessage, ctx: Context) -> None:
    body, attributes = dead_letter.to_send()
    await ctx.requeue(dead_letter.queue, body, attributes)
    place = slot_of(State.REPLAYED, shard_of(dead_letter.dlq_message_id))
    sent = {"state": State.REPLAYED.value, "place": place, "replayedAt": iso(ctx.now)}
    # Not if it has already failed again.
    still = (When("state", "=", State.REPLAYING.value), When("decision", "=", dead_letter.decision))
    await ctx.write(ctx.update(DLQMessage, dead_letter.dlq_message_id, set=sent, when=still))
