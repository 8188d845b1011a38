"""Planning steps: event handlers that take a job from its creation to its plan or its rejection, one step at a time.

A job never stays ``planning`` for ever. An invalid file rejects it at once; a step that keeps failing rejects it after
several tries (here) or after several repeated requests (in the tick).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog

from libs.common.declare.event import Event
from libs.common.errors import Conflict, RetryLater
from libs.common.handle.context import Context
from libs.common.isolated import MAX_WAIT_SECONDS, NoSlot
from libs.common.observe.log import where
from libs.common.store.item import Row
from libs.common.store.ops import When
from libs.messaging.events.bulk import PlanAsked
from services.bulk import jobs
from services.bulk.audience.parts import split
from services.bulk.audience.read import BadFile
from services.bulk.audience.sources import Upload
from services.bulk.model import BulkJob
from services.bulk.planning.estimate import plan
from services.bulk.planning.plan import is_over, plan_part
from services.bulk.planning.templates import category

#: The lane of contact events.
PEOPLE = "people"
#: Maximum time that a plan waits for contact events; it checks again after each pause.
MAX_CATCHING_UP = timedelta(minutes=2)
CATCHING_UP_PAUSE = timedelta(seconds=1)
#: Maximum failures of a step for a reason that a retry does not fix.
MAX_STEP_FAILURES = 3
#: Faults of the data or of the program. Others (network, store, throttling) may be transient.
_LASTING = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)

log = structlog.get_logger()


async def plan_next(event: PlanAsked, ctx: Context) -> Sequence[Event]:
    """Reads the file, or plans the next part of the audience. By ledger: the step and the events it publishes are
    atomic."""
    job = await ctx.get(BulkJob, event.job_id)
    if job is None or job.state != "planning" or job.progress.part != event.part:
        return ()
    try:
        if event.part < 0:
            return await _read_file(job, ctx)
        if event.part == 0:
            job = await _caught_up(job, ctx)
        return await _plan_part(job, ctx)
    except (Conflict, RetryLater):
        raise
    except BadFile as bad:
        problem = {"code": "FILE_NOT_READABLE", "title": "The file cannot be read", "detail": str(bad),
                   "errors": [{"field": "audience.uploadId", "detail": str(bad)}]}  # fmt: skip
        return _reject(job, problem, ctx)
    except Exception as error:
        lasting, cause = isinstance(error, _LASTING), type(error).__name__
        tries = job.plan_tries + lasting
        if not lasting or tries < MAX_STEP_FAILURES:
            await _note_failure(job, tries, cause, ctx)
            raise
        log.error("a job cannot be planned", job=job.job_id, part=event.part, error=cause, where=where(error))
        return _reject(job, failed(job, cause), ctx)


def failed(job: BulkJob, cause: str | None = None) -> dict[str, Any]:
    """Returns the problem of a job with a step that keeps failing. ``cause`` is an exception name: error messages may
    contain personal data."""
    cause = cause or job.plan_error or "it never ended"
    step = "reading the file" if job.progress.part < 0 else f"part {job.progress.part + 1} of the audience"
    detail = f"Planning failed at {step} ({cause}). Check the audience and make the job again, or ask an administrator."
    return {"code": "PLANNING_FAILED", "title": "The job cannot be planned", "detail": detail}


def _reject(job: BulkJob, problem: dict[str, Any], ctx: Context) -> Sequence[Event]:
    ctx.staged.clear()
    updated, event = jobs.rejected(job, problem, ctx)
    ctx.stage(ctx.replace(updated))
    return (event,)


async def _note_failure(job: BulkJob, tries: int, cause: str, ctx: Context) -> None:
    """Writes at once, because staged writes are lost when the step fails. If the store itself fails there is nothing to
    record."""
    change: Row = {"planTries": tries, "planError": cause}
    with suppress(Exception):
        when = (When("version", "=", job.version),)
        await ctx.write(ctx.update(BulkJob, job.job_id, set=change, when=when))


async def _caught_up(job: BulkJob, ctx: Context) -> BulkJob:
    """Returns the job once all contact events in the queue have arrived, so that consents recorded before the job was
    created are in its plan. Raises Later; after the maximum wait the plan shows how many are still missing."""
    behind = await ctx.waiting(PEOPLE)
    if behind and ctx.now < job.created_at + MAX_CATCHING_UP:
        raise RetryLater(ctx.now + CATCHING_UP_PAUSE, f"{behind} changes of contacts are on their way")
    return job.model_copy(update={"progress": job.progress.model_copy(update={"behind": behind})})


async def _plan_part(job: BulkJob, ctx: Context) -> Sequence[Event]:
    progress = await plan_part(job, ctx)
    done = job.model_copy(update={"progress": progress, "plan_tries": 0, "plan_error": None})
    if not is_over(job, progress):
        ctx.stage(ctx.replace(done.model_copy(update={"updated_at": ctx.now})))
        return (PlanAsked(job_id=job.job_id, part=progress.part),)
    done = done.model_copy(
        update={"plan": plan(done, await category(job.channel, job.content, ctx), ctx.settings, ctx.now)}
    )
    updated, event = jobs.moved(done, ctx, "planned")
    if jobs.may_start_alone(done):
        updated, event = jobs.started(done, ctx)
    ctx.stage(ctx.replace(updated))
    return (event,)


async def _read_file(job: BulkJob, ctx: Context) -> Sequence[Event]:
    source = job.source
    upload = await ctx.get(Upload, source.upload_id) if source.upload_id else None
    if upload is None:
        raise BadFile("The upload is gone. Upload the file again.")
    if upload.parts is None:
        try:
            columns, rows, parts = await split(upload, ctx)
        except BadFile as bad:
            raise BadFile(f"{upload.filename}: {bad}") from None
        except NoSlot as busy:
            raise RetryLater(ctx.now + timedelta(seconds=MAX_WAIT_SECONDS), str(busy)) from None
        upload = upload.model_copy(update={"columns": tuple(columns), "rows": rows, "parts": parts})
        ctx.stage(ctx.replace(upload))
    source = source.model_copy(update={"prefix": upload.prefix, "parts": upload.parts})
    change = {
        "source": source,
        "progress": job.progress.model_copy(update={"part": 0}),
        "plan_tries": 0,
        "plan_error": None,
    }
    ctx.stage(ctx.replace(job.model_copy(update={**change, "updated_at": ctx.now})))
    return (PlanAsked(job_id=job.job_id, part=0),)
