"""Creates, pauses, resumes and cancels replay jobs. The list of dead letters is fixed when the job is created."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from libs.common.clock import derived_id, iso, random_id
from libs.common.declare.wire import TrimmedBody
from libs.common.errors import Problem, invalid
from libs.common.handle.context import Context, Done, Page
from libs.common.store.ops import When
from libs.messaging.events.dlq import ReplayJobChanged
from services.dlq_replay.model import Action, State, expiry
from services.dlq_replay.replay_job import CHUNK_DEAD_LETTERS, JOB_RETENTION, ReplayChunk, ReplayJob
from services.dlq_replay.search import Filter, rows, select

#: Default and maximum number of dead letters of one job.
DEFAULT_LIMIT, MAX_LIMIT = 100, 10_000
#: Dead letters per second. At the minimum rate the job is still checked several times within a lease.
DEFAULT_RATE, MIN_RATE, MAX_RATE = 10.0, 0.5, 500.0

Why = Annotated[str, Field(max_length=500)]
Id = Annotated[str, Field(min_length=1, max_length=100)]


class Selection(TrimmedBody):
    """A selection: either ``ids`` or a ``filter``; with a filter, the earliest failures first, up to ``limit``."""

    ids: list[Id] | None = Field(default=None, min_length=1, max_length=MAX_LIMIT)
    filter: Filter | None = None
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)


class AskReplay(Selection):
    """A replay request. ``rate`` is in dead letters per second. ``force`` includes quarantined dead letters, given by
    id and with a reason."""

    rate: float = Field(default=DEFAULT_RATE, ge=MIN_RATE, le=MAX_RATE)
    why: Why = ""
    force: bool = False


class Ask(TrimmedBody):
    why: Why = ""


async def chosen(selection: Selection, ctx: Context) -> list[str]:
    """Returns the distinct ids of a selection. Raises Problem."""
    if (selection.ids is None) == (selection.filter is None):
        raise invalid("ids", "Give either ids or a filter.")
    if selection.filter is not None:
        return await select(ctx, selection.filter, selection.limit)
    ids = list(dict.fromkeys(selection.ids or ()))
    if len(ids) > selection.limit:
        raise invalid("limit", f"These are {len(ids)} letters; say limit={len(ids)} if that is what you want.")
    return ids


async def ask_replay(body: AskReplay, ctx: Context) -> Done[ReplayJob]:
    """Creates the job. Leaves out dead letters that are not waiting. Raises Problem, also if none is left."""
    if body.filter is not None and body.filter.state is not State.WAITING:
        raise invalid("filter.state", "A filter replays letters that wait; name quarantined ones by id, with force.")
    if body.force and not (body.ids and body.why):
        raise invalid("force", "Quarantined letters are replayed by id and with a reason (why).")
    ids = await chosen(body, ctx)
    if body.ids is not None:
        ids = await _waiting(ids, body.force, ctx)
    elif not ids:
        raise Problem(409, "NOTHING_TO_REPLAY", "No waiting letter fits this filter")
    job = ReplayJob(
        job_id=derived_id(ctx.cause.id if ctx.cause else random_id(), "replay-job"),
        by=ctx.actor,
        why=body.why,
        force=body.force,
        rate=body.rate,
        total=len(ids),
        created_at=ctx.now,
        lease_until=ctx.now,
        history=(Action(what="created", at=ctx.now, by=ctx.actor, why=body.why),),
        expires_at=expiry(ctx.now, JOB_RETENTION),
    )
    ctx.stage(ctx.insert(job))
    for n, start in enumerate(range(0, len(ids), CHUNK_DEAD_LETTERS)):
        part = tuple(ids[start : start + CHUNK_DEAD_LETTERS])
        ctx.stage(
            ctx.insert(ReplayChunk(job_id=job.job_id, n=ReplayChunk.name(n), ids=part, expires_at=job.expires_at))
        )
    return Done(job, (job_changed(job, ctx.actor, body.why, ctx.now),))


async def _waiting(ids: list[str], force: bool, ctx: Context) -> list[str]:
    """Returns the ids that may be replayed. Raises Problem: LETTER_NOT_FOUND lists the unknown ones, NOT_WAITING gives
    their states."""
    found = {row.dlq_message_id: row for row in await rows(ctx, ids)}
    missing = [each for each in ids if each not in found]
    if missing:
        errors = [{"field": "ids", "detail": each} for each in missing[:20]]
        raise Problem(404, "LETTER_NOT_FOUND", "There are no such letters", "They are kept for seven days.", errors)
    open_states = {State.WAITING, State.QUARANTINED} if force else {State.WAITING}
    waiting = [each for each in ids if found[each].state in open_states]
    if not waiting:
        states = sorted({found[each].state.value for each in ids})
        hint = "Insist with force and a reason." if State.QUARANTINED in states else "Somebody has already decided."
        raise Problem(409, "NOT_WAITING", f"None of them waits: {', '.join(states)}", hint)
    return waiting


async def job_by_id(ctx: Context, job_id: str) -> ReplayJob:
    """Returns the job. Raises Problem 404."""
    job = await ctx.get(ReplayJob, job_id)
    if job is None:
        raise Problem(404, "JOB_NOT_FOUND", "There is no such replay job", "Jobs are kept for thirty days.")
    return job


async def list_jobs(ctx: Context, limit: int, cursor: str | None) -> Page[ReplayJob]:
    """Returns the jobs, newest first."""
    return await ctx.query(ReplayJob, "all", index="by-creation", limit=limit, cursor=cursor, newest_first=True)


#: Allowed actions by state of the job, and the resulting state. A running job stops by itself, within a batch.
MOVES: dict[str, dict[str, str]] = {
    "pause": {"running": "pausing", "pausing": "pausing", "paused": "paused"},
    "resume": {"paused": "running", "pausing": "running", "running": "running"},
    "cancel": {"running": "cancelling", "pausing": "cancelling", "paused": "cancelled", "cancelling": "cancelling"},
}


async def move_job(job_id: str, move: str, why: str, ctx: Context) -> Done[ReplayJob]:
    """Applies an action to a job. Raises Problem JOB_NOT_FOUND, JOB_OVER."""
    job = await job_by_id(ctx, job_id)
    wanted = MOVES[move].get(job.state)
    if wanted is None:
        raise Problem(409, "JOB_OVER", f"The job is {job.state}, so you cannot {move} it")
    if wanted == job.state:
        return Done(job)
    action = Action(what=wanted, at=ctx.now, by=ctx.actor, why=why)
    after = job.model_copy(update={"state": wanted, "history": (*job.history, action)[-40:]})
    row = after.to_row()
    changes = {"state": wanted, "history": row["history"], "version": job.version + 1}
    if wanted == "running":
        changes["open"] = "open"
    elif wanted == "cancelled":
        changes["finishedAt"] = iso(ctx.now)
    ctx.stage(
        ctx.update(
            ReplayJob, job_id, set=changes, when=(When("version", "=", job.version), When("state", "=", job.state))
        )
    )
    events = job_changed(after, ctx.actor, why, ctx.now)
    return Done(after, (events,), {"state": job.state}, {"state": wanted})


def job_changed(job: ReplayJob, by: str, why: str, at: datetime) -> ReplayJobChanged:
    return ReplayJobChanged(
        job_id=job.job_id, state=job.state, by=by, why=why, at=at, total=job.total, sent=job.sent, skipped=job.skipped,
        rate=job.rate,
    )  # fmt: skip
