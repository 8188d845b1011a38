"""HTTP routes of ``/api/dlq``."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import Query

from libs.common.aws.auth import Role
from libs.common.clock import Timestamp
from libs.common.handle.context import Context, Done
from libs.common.hosts.http.routes import SMALL_MAX_BODY_BYTES, Api, Cursor, Limit
from libs.messaging.channels import Channel
from services.dlq_replay import alarms, decisions, jobs, search
from services.dlq_replay.decisions import Discard, EditLetter
from services.dlq_replay.jobs import Ask, AskReplay, Selection
from services.dlq_replay.model import Cause, State, Watched
from services.dlq_replay.search import Filter
from services.dlq_replay.simulate import predict
from services.dlq_replay.views import (
    GroupList,
    JobList,
    JobView,
    LetterDetail,
    LetterList,
    QueueDepth,
    Simulation,
    dead_letter_detail,
    dead_letter_view,
    group_view,
    job_view,
    summed,
)

router = Api()
Name = Annotated[str | None, Query(min_length=1, max_length=120)]
EventType = Annotated[str | None, Query(alias="eventType", min_length=1, max_length=120)]
Text = Annotated[str | None, Query(min_length=2, max_length=200)]
#: Maximum dead letters of a simulation that are listed individually; the totals cover all.
MAX_SHOWN = 200


@router.read("GET", "/api/dlq", role=Role.VIEWER)
async def list_letters(
    ctx: Context,
    state: State = State.WAITING,
    queue: Name = None,
    event_type: EventType = None,
    channel: Channel | None = None,
    cause: Cause | None = None,
    since: Timestamp | None = None,
    until: Timestamp | None = None,
    text: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> LetterList:
    """Returns the dead letters of one state, by the time of the last failure, newest first."""
    wanted = Filter(
        state=state,
        queue=queue,
        event_type=event_type,
        channel=channel,
        cause=cause,
        since=since,
        until=until,
        text=text,
    )
    page = await search.list_letters(ctx, wanted, limit, cursor)
    return LetterList(items=[dead_letter_view(each) for each in page.items], cursor=page.cursor)


@router.read("GET", "/api/dlq/groups", role=Role.VIEWER)
async def list_groups(
    ctx: Context,
    queue: Name = None,
    event_type: EventType = None,
    channel: Channel | None = None,
    cause: Cause | None = None,
    since: Timestamp | None = None,
    until: Timestamp | None = None,
) -> GroupList:
    """Returns the waiting dead letters by cause and type with counts, and the number of open dead letters of each
    queue."""
    wanted = Filter(queue=queue, event_type=event_type, channel=channel, cause=cause, since=since, until=until)
    every = await alarms.open_dead_letters(ctx)
    # Without a filter, the waiting dead letters have already been counted above.
    groups, whole = (every.waiting, every.whole) if wanted == Filter() else await search.groups(ctx, wanted)
    return GroupList(
        groups=[group_view(group) for group in groups],
        queues=[QueueDepth.model_validate(depth) for depth in every.depths()],
        total=sum(group.count for group in groups),
        complete=whole and every.whole,
    )


@router.read("POST", "/api/dlq/simulate", role=Role.VIEWER)
async def simulate(body: Selection, ctx: Context) -> Simulation:
    """Returns what would happen if these dead letters were replayed now; changes nothing."""
    dead_letters = await search.rows(ctx, await jobs.chosen(body, ctx))
    return summed(list(await asyncio.gather(*(predict(each, ctx) for each in dead_letters))), MAX_SHOWN)


@router.write("POST", "/api/dlq/replay", role=Role.OPERATOR, status=202, about="job_id")
async def replay(body: AskReplay, ctx: Context) -> Done[JobView]:
    """Creates a job that sends dead letters back to their source queues."""
    done = await jobs.ask_replay(body, ctx)
    return Done(job_view(done.value, ctx.now), done.events)


@router.read("GET", "/api/dlq/jobs", role=Role.VIEWER)
async def list_jobs(ctx: Context, limit: Limit = 20, cursor: Cursor = None) -> JobList:
    """Returns the replay jobs, newest first."""
    page = await jobs.list_jobs(ctx, limit, cursor)
    return JobList(items=[job_view(job, ctx.now) for job in page.items], cursor=page.cursor)


@router.read("GET", "/api/dlq/jobs/{job_id}", role=Role.VIEWER)
async def read_job(job_id: str, ctx: Context) -> JobView:
    """Returns one replay job and its progress."""
    return job_view(await jobs.job_by_id(ctx, job_id), ctx.now)


@router.write("POST", "/api/dlq/jobs/{job_id}/{move}", role=Role.OPERATOR, status=202, max_bytes=SMALL_MAX_BODY_BYTES)
async def move_job(job_id: str, move: Literal["pause", "resume", "cancel"], body: Ask, ctx: Context) -> Done[JobView]:
    """Pauses, resumes or cancels a replay job."""
    done = await jobs.move_job(job_id, move, body.why, ctx)
    return done.shown(job_view(done.value, ctx.now))


@router.write("POST", "/api/dlq/discard", role=Role.ADMIN, max_bytes=128 * 1024)
async def discard(body: Discard, ctx: Context) -> Done[LetterList]:
    """Discards dead letters, with a reason: they are not replayed; their records are kept."""
    done = await decisions.discard_letters(body, ctx)
    return Done(LetterList(items=[dead_letter_view(each) for each in done.value]), done.events)


@router.read("GET", "/api/dlq/{dlq_message_id}", role=Role.VIEWER)
async def read_letter(dlq_message_id: str, ctx: Context) -> LetterDetail:
    """Returns one dead letter in full: the event, every failure, every decision, and the status of its message."""
    dead_letter = await search.dead_letter_by_id(ctx, dlq_message_id)
    watched = await ctx.get(Watched, dead_letter.message_id) if dead_letter.message_id else None
    return dead_letter_detail(dead_letter, watched)


@router.write("POST", "/api/dlq/{dlq_message_id}/edit", role=Role.ADMIN)
async def edit_letter(dlq_message_id: str, body: EditLetter, ctx: Context) -> Done[LetterDetail]:
    """Edits the data that a replay sends; the original is kept, and the recipient cannot be changed."""
    done = await decisions.edit_letter(dlq_message_id, body, ctx)
    return Done(dead_letter_detail(done.value, None), done.events)
