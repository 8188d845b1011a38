"""Handles requests for uploads, lists and jobs. Everything is checked before anything is created."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

from libs.common.bus.encoding import encoded_bytes
from libs.common.clock import derived_id
from libs.common.errors import CopyRefusal, Problem, invalid
from libs.common.handle.context import Context, Done
from libs.common.isolated import NoSlot
from libs.messaging.attachments import private_addresses
from libs.messaging.channels import Channel
from libs.messaging.content import Content, Template, Text
from libs.messaging.events.bulk import PlanAsked
from libs.messaging.personalization import wanted
from services.bulk.audience.apart import Shape
from services.bulk.audience.columns import address_column, problems
from services.bulk.audience.parts import MAX_PART_ROWS, inspected, part_key
from services.bulk.audience.read import BadFile
from services.bulk.audience.sources import SavedList, Upload
from services.bulk.audience.storage import URL_SECONDS, Files
from services.bulk.bodies import Audience, CreateJob, CreateList, CreateUpload, Mapping
from services.bulk.changes import check_window
from services.bulk.jobs import moved
from services.bulk.model import CHUNK_RECIPIENTS, BulkJob, Columns, Progress, Source
from services.bulk.planning.event_size import MAX_JOB_BYTES, MIN_RECIPIENTS_BYTES, room_bytes
from services.bulk.planning.templates import frozen, variables_of
from services.bulk.views import UploadView, upload_view

#: Target duration of a throttled chunk (s).
TARGET_CHUNK_SECONDS = 5
UPLOAD_RETENTION = timedelta(days=30)


async def create_upload(body: CreateUpload, ctx: Context) -> Done[UploadView]:
    upload = Upload(
        upload_id=derived_id(ctx.required_cause.id, "upload"),
        filename=body.filename,
        created_by=ctx.actor,
        created_at=ctx.now,
        size=body.size,
        expires_at=int((ctx.now + UPLOAD_RETENTION).timestamp()),
    )
    ctx.stage(ctx.insert(upload))
    url = await Files(ctx).put_url(upload.object_key, body.size)
    return Done(upload_view(upload, url=url, url_expires_at=ctx.now + timedelta(seconds=URL_SECONDS)))


async def create_list(body: CreateList, ctx: Context) -> Done[SavedList]:
    if body.audience.list_id is not None:
        raise invalid("audience.listId", "A list cannot be made of a list.")
    if body.audience.upload_id is not None:
        shape = await shape_of(await existing_upload(body.audience.upload_id, ctx), ctx)
        _refuse(problems(Columns.model_validate(body.mapping.model_dump()), shape.columns))
    saved = SavedList(
        list_id=derived_id(ctx.required_cause.id, "list"),
        name=body.name,
        audience=body.audience.model_dump(mode="json", by_alias=True, exclude_none=True),
        mapping=Columns.model_validate(body.mapping.model_dump()),
        created_by=ctx.actor,
        created_at=ctx.now,
    )
    ctx.stage(ctx.insert(saved))
    return Done(saved)


async def create_job(body: CreateJob, ctx: Context) -> Done[BulkJob]:
    """Creates a job. Raises Problem if a check fails; nothing is then created."""
    job_id = derived_id(ctx.required_cause.id, "job")
    check_window(body.start_at, body.end_at, ctx)
    audience, columns = await _audience(body, ctx)
    content = await _content(body, ctx)
    source, columns = await _source(job_id, audience, columns, body.channel, ctx)
    needed = await variables_of(body.channel, body.content, content, ctx)
    _check_variables(needed, body.content, columns)
    job = BulkJob(
        job_id=job_id,
        name=body.name,
        created_by=ctx.actor,
        created_at=ctx.now,
        updated_at=ctx.now,
        channel=body.channel,
        purpose=body.purpose,
        sender=body.sender,
        content=content,
        source=source,
        mapping=columns,
        chunk_size=CHUNK_RECIPIENTS if body.throttle_per_second is None else _chunk_size(body.throttle_per_second),
        throttle_per_second=body.throttle_per_second,
        start_at=body.start_at,
        end_at=body.end_at,
        hold=body.hold,
        progress=Progress(part=-1 if source.kind == "upload" else 0),
        look_at=ctx.now,
    )
    new, event = moved(job, ctx)
    # The row has the revision of the published event, as after every later change.
    new = new.model_copy(update={"version": event.revision})
    if encoded_bytes(new.to_row()) > MAX_JOB_BYTES:
        raise invalid("mapping", "Content and mapping are too large together. Shorten the fallbacks or the content.")
    ctx.stage(ctx.insert(new))
    return Done(new, (event, PlanAsked(job_id=job_id, part=new.progress.part)))


def _chunk_size(throttle: float) -> int:
    return max(1, min(CHUNK_RECIPIENTS, int(throttle * TARGET_CHUNK_SECONDS)))


async def _audience(body: CreateJob, ctx: Context) -> tuple[Audience, Columns]:
    columns = Columns.model_validate(body.mapping.model_dump())
    if body.audience.list_id is None:
        return body.audience, columns
    saved = await ctx.get(SavedList, body.audience.list_id)
    if saved is None:
        raise invalid("audience.listId", "There is no such list.", "LIST_NOT_FOUND")
    own = body.mapping != Mapping()
    return Audience.model_validate(saved.audience), columns if own else saved.mapping


async def _source(
    job_id: str, audience: Audience, columns: Columns, channel: Channel, ctx: Context
) -> tuple[Source, Columns]:
    if audience.filter is not None:
        return Source(
            kind="filter", filter=audience.filter.model_dump(mode="json", by_alias=True, exclude_none=True)
        ), columns
    if audience.contact_ids is not None:
        return await _contacts(job_id, audience.contact_ids, ctx), columns
    assert audience.upload_id is not None
    upload = await existing_upload(audience.upload_id, ctx)
    shape = await shape_of(upload, ctx)
    wrong = problems(columns, shape.columns)
    address = address_column(columns, shape.columns, shape.samples, channel)
    if address is None:
        there = ", ".join(shape.columns)
        wrong.append({"field": "mapping.address", "detail": f"Name the column with the addresses; there are: {there}."})
    _refuse(wrong)
    return Source(kind="upload", upload_id=upload.upload_id), columns.model_copy(update={"address": address})


def _refuse(wrong: list[dict[str, str]]) -> None:
    if wrong:
        raise Problem(422, "MAPPING_WRONG", "The mapping does not fit the file", "Correct the fields named.", wrong)


async def _contacts(job_id: str, contact_ids: Sequence[str], ctx: Context) -> Source:
    """Writes the ids into parts like the rows of a file."""
    prefix, files = f"rows/{job_id}/", Files(ctx)
    parts = [contact_ids[at : at + MAX_PART_ROWS] for at in range(0, len(contact_ids), MAX_PART_ROWS)]
    for n, part in enumerate(parts):
        rows = (json.dumps([n * MAX_PART_ROWS + row, contact]) for row, contact in enumerate(part, 1))
        await files.put(part_key(prefix, n), "\n".join(rows).encode())
    return Source(kind="contacts", prefix=prefix, parts=len(parts))


async def existing_upload(upload_id: str, ctx: Context) -> Upload:
    upload = await ctx.get(Upload, upload_id)
    if upload is None:
        raise invalid(
            "audience.uploadId", "There is no such upload, or it is too old. Upload the file again.", "UPLOAD_NOT_FOUND"
        )
    return upload


async def shape_of(upload: Upload, ctx: Context) -> Shape:
    """Returns the columns of an upload. Raises Problem for a file that cannot be read."""
    try:
        return await inspected(upload, ctx)
    except BadFile as bad:
        raise invalid("audience.uploadId", f"{upload.filename}: {bad}", "FILE_NOT_READABLE") from None
    except NoSlot:
        raise Problem(503, "UNAVAILABLE", "Other files are being read", "Try again in a few seconds.") from None


async def _content(body: CreateJob, ctx: Context) -> Content:
    """Returns the content to freeze into the job. Raises Problem."""
    if body.content.kind not in body.channel.traits.bulk_contents:
        kinds = ", ".join(sorted(body.channel.traits.bulk_contents))
        raise invalid("content.kind", f"{body.channel} carries in bulk: {kinds}.", "UNSUPPORTED")
    content = await frozen(body.channel, body.content, ctx)
    if private := private_addresses(content):
        raise invalid(f"content.{private[0]}", "Name a file of ours by its id, or an https address.")
    room = room_bytes(content)
    if room < MIN_RECIPIENTS_BYTES:
        over = MIN_RECIPIENTS_BYTES - room
        raise invalid("content", f"The content is {over:,} bytes too large for a job; shorten it or link to it.")
    return content


def _check_variables(needed: Sequence[str], content: Content, columns: Columns) -> None:
    fixed = content.variables if isinstance(content, Template) else {}
    # The variables of a template are known from the service's copy, which may lag.
    problem = CopyRefusal if isinstance(content, Template) else Problem
    known = {*columns.variables, *columns.fallbacks}
    literal = {name for name, value in fixed.items() if value and not wanted(Text(body=value))}
    missing = [name for name in needed if name not in known and name not in literal]
    if missing:
        errors = [
            {"field": f"mapping.variables.{name}", "detail": "The content needs it: name a column, or give a fallback."}
            for name in missing
        ]
        raise problem(
            422, "VARIABLES_INCOMPLETE", "Variables of the content are not mapped", "Map every variable.", errors
        )
    given = {"variables": columns.variables, "fallbacks": columns.fallbacks}
    errors = [
        {"field": f"mapping.{kind}.{name}", "detail": f"The content has no such variable; it has: {', '.join(needed)}."}
        for kind, names in given.items()
        for name in names
        if needed and name not in needed
    ]
    if errors:
        raise problem(422, "MAPPING_WRONG", "The mapping names variables that the content has not", "", errors)
