"""Planning: converts the audience, one part at a time, into recipients in chunks.

Each recipient's row is inserted if absent, and the first insert wins: planning a part again (after a crash, a duplicate
event, or concurrently) finds its own rows, uses their values, and produces the same chunks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence

from libs.common.handle.context import Context
from libs.messaging import template_copy
from libs.messaging.checks import Refusal
from libs.messaging.content import Content
from libs.messaging.errors import EXPLANATIONS, ErrorCode
from libs.messaging.exports import CSV_TYPE, csv_lines
from libs.messaging.permission import Permission
from libs.messaging.personalization import personal
from libs.messaging.rendering import Unfit
from libs.messaging.setting_copy import in_force
from libs.messaging.templates import purpose_of
from libs.messaging.vocabulary import Purpose
from services.bulk.audience import contact_copy
from services.bulk.audience.candidates import Candidate, Reject, candidate, decided, values_of
from services.bulk.audience.parts import MAX_PART_ROWS, rows_of
from services.bulk.audience.sources import Upload
from services.bulk.audience.storage import Files
from services.bulk.model import RETENTION, BulkJob, Progress
from services.bulk.planning.event_size import recipient_bytes, unfit
from services.bulk.planning.plan_totals import Part, as_reject, chunks_of, rejects_key, summed
from services.bulk.planning.send_limits import capped
from services.bulk.running.chunks import BulkChunk, BulkRecipient, group_of
from services.bulk.running.counts import tally
from services.bulk.running.status_string import PENDING, RANK, SKIPPED

#: Recipients that are looked up and written concurrently.
SLICE_ROWS = 500
#: Contacts of one page of a filter.
PAGE_ROWS = 500


async def plan_part(job: BulkJob, ctx: Context) -> Progress:
    """Plans the part that ``job.progress`` has reached; returns the new progress (see :func:`is_over`)."""
    progress = job.progress
    part = Part()
    cursor: str | None = None
    over = True
    seen: set[str] = set()
    if job.source.kind == "filter":
        cursor = progress.cursor
        while part.rows < MAX_PART_ROWS:
            standings, cursor = await contact_copy.walk(job.channel, cursor, PAGE_ROWS, ctx)
            wanted = [standing for standing in standings if _matches(standing, job)]
            part.rows += len(wanted)
            found = (Candidate(0, one.address or "", one.contact_id, standing=one) for one in wanted)
            await _slices(found, job, part, seen, ctx)
            if cursor is None:
                break
        over = cursor is None
    else:
        assert job.source.prefix is not None
        rows = await rows_of(job.source.prefix, progress.part, ctx)
        over = progress.part + 1 >= (job.source.parts or 0)
        part.rows = len(rows)
        columns = await _columns(job, ctx)
        await _slices(_read(rows, columns, job, part), job, part, seen, ctx)
    return await _noted(job, part, cursor, over, ctx)


async def _columns(job: BulkJob, ctx: Context) -> Sequence[str]:
    upload = await ctx.get(Upload, job.source.upload_id) if job.source.upload_id else None
    return upload.columns if upload else ()


def _matches(standing: Permission, job: BulkJob) -> bool:
    """Whether a contact matches the filter. Consent is not checked here: contacts without consent are listed as
    skipped."""
    wanted = job.source.filter
    if standing.deleted or not standing.address:
        return False
    if any(
        wanted.get(name) and fact not in wanted[name]
        for name, fact in (("zones", standing.zone), ("locales", standing.locale))
    ):
        return False
    if wanted.get("optedIn") and not standing.opted_in:
        return False
    last = standing.last_inbound_at.isoformat() if standing.last_inbound_at else ""
    if (after := wanted.get("wroteAfter")) and last < after:
        return False
    before = wanted.get("wroteBefore")
    return not (before and last >= before)


def _read(rows: Iterable[tuple[int, object]], columns: Sequence[str], job: BulkJob, part: Part) -> Iterator[Candidate]:
    for number, cells in rows:
        if isinstance(cells, str):
            yield Candidate(number, "", cells)
        else:
            found = candidate(number, cells if isinstance(cells, list) else [], columns, job)
            if isinstance(found, Reject):
                part.rejects.append(found)
            else:
                yield found


async def _slices(candidates: Iterable[Candidate], job: BulkJob, part: Part, seen: set[str], ctx: Context) -> None:
    some: list[Candidate] = []
    for one in candidates:
        some.append(one)
        if len(some) == SLICE_ROWS:
            await _slice(some, job, part, seen, ctx)
            some = []
    if some:
        await _slice(some, job, part, seen, ctx)


async def _slice(some: list[Candidate], job: BulkJob, part: Part, seen: set[str], ctx: Context) -> None:
    """Looks up the contacts, decides, and inserts the recipients; an existing row has precedence."""
    await _looked_up(some, job, ctx)
    rows: list[tuple[Candidate, BulkRecipient]] = []
    for one in some:
        if not one.address:
            erased = one.standing is not None and one.standing.deleted
            why = (
                EXPLANATIONS[ErrorCode.CONTACT_ERASED].means
                if erased
                else "The contact is not known or has no address here."
            )
            part.rejects.append(Reject(one.row, "missing", why, ""))
            continue
        row = _recipient(one, job, ctx)
        if row.recipient_id in seen:
            part.rejects.append(Reject(one.row, "duplicate", "The same address stands further up.", one.address))
            continue
        seen.add(row.recipient_id)
        rows.append((one, row))
    written, had_enough = await asyncio.gather(
        asyncio.gather(*(ctx.write(ctx.insert(row)) for _, row in rows)), _capped([row for _, row in rows], job, ctx)
    )
    for (one, row), outcome in zip(rows, written, strict=True):
        stands = row if outcome or outcome.row is None else BulkRecipient.from_row(outcome.row)
        if stands.row != row.row or (not row.row and stands.contact_id != row.contact_id):
            part.rejects.append(Reject(one.row, "duplicate", "The same address stands further up.", one.address))
        elif stands.reason is not None:
            part.skipped.append(stands)
        else:
            if stands.contact_id in had_enough:
                part.capped += 1
            elif one.standing is None or not one.standing.window_open(ctx.now):
                part.outside += 1
            part.sent.append((stands, recipient_bytes(stands.contact_id, stands.variables)))


async def _looked_up(some: Sequence[Candidate], job: BulkJob, ctx: Context) -> None:
    unknown = [one for one in some if one.standing is None]
    by_contact = [one for one in unknown if one.contact_id]
    by_address = [one for one in unknown if not one.contact_id]
    contacts, addresses = await asyncio.gather(
        contact_copy.by_contacts([one.contact_id for one in by_contact], job.channel, ctx),
        contact_copy.by_addresses([one.address for one in by_address], job.channel, ctx),
    )
    for one, standing in zip([*by_contact, *by_address], [*contacts, *addresses], strict=True):
        one.standing = standing
        if standing is not None:
            one.contact_id = standing.contact_id
            one.address = one.address or standing.address or ""


async def _capped(rows: Sequence[BulkRecipient], job: BulkJob, ctx: Context) -> set[str]:
    """Returns the contacts whose marketing would be deferred by the cap."""
    purpose = purpose_of(await template_copy.known(job.content, job.channel, ctx), job.purpose)
    if purpose is not Purpose.MARKETING or not (await in_force(ctx)).marketing_daily_cap:
        return set()
    return await capped([row.contact_id for row in rows if row.reason is None], job.channel, ctx)


def _recipient(one: Candidate, job: BulkJob, ctx: Context) -> BulkRecipient:
    values, missing = values_of(one, job)
    too_large = unfit(job.content, one.contact_id, values)
    refused = decided(one, job, values, missing, ctx.now) or _unfit(job.content, values) or too_large
    return BulkRecipient(
        job_id=job.job_id,
        recipient_id=BulkRecipient.id_of(job.channel, one.address),
        contact_id=one.contact_id,
        address=one.address,
        row=one.row,
        # Values that are too large to be sent, or cannot be encoded, are not stored.
        variables={} if too_large else values,
        status="skipped" if refused else "pending",
        rank=RANK[SKIPPED] if refused else RANK[PENDING],
        reason=refused.code if refused else None,
        detail=(refused.detail or None) if refused else None,
        updated_at=ctx.now,
        expires_at=int((ctx.now + RETENTION).timestamp()),
    )


def _unfit(content: Content, values: dict[str, str]) -> Refusal | None:
    try:
        personal(content, values)
    except Unfit as unfit:
        return unfit.refusal
    return None


async def _noted(job: BulkJob, part: Part, cursor: str | None, over: bool, ctx: Context) -> Progress:
    """Writes the part's chunks with their tallies and its rejects. Idempotent."""
    before = job.progress
    chunks = [*chunks_of(part, job, before, ctx)]
    await asyncio.gather(*(ctx.write(ctx.put(chunk)) for chunk in chunks))
    groups: dict[str, dict[str, BulkChunk]] = {}
    for chunk in chunks:
        groups.setdefault(group_of(chunk.chunk), {})[chunk.chunk] = chunk
    await asyncio.gather(*(tally(job.job_id, group, members, ctx) for group, members in groups.items()))
    refused = [*part.rejects, *(as_reject(row) for row in part.skipped)]
    if refused:
        body = csv_lines(
            [reject.row, reject.reason, reject.detail, reject.written]
            for reject in sorted(refused, key=lambda r: r.row)
        )
        await Files(ctx).put(rejects_key(job.job_id, before.reject_parts), body, CSV_TYPE)
    p_chunks = sum(chunk.chunk[0] == "p" for chunk in chunks)
    return summed(before, part, job).model_copy(
        update={
            "part": (job.source.parts or 0) if over and job.source.kind != "filter" else before.part + 1,
            "cursor": cursor,
            "chunks": before.chunks + p_chunks,
            "skipped_chunks": before.skipped_chunks + len(chunks) - p_chunks,
            "reject_parts": before.reject_parts + bool(refused),
        }
    )


def is_over(job: BulkJob, progress: Progress) -> bool:
    """Whether the whole audience has been planned."""
    if job.source.kind == "filter":
        return progress.cursor is None
    return progress.part >= (job.source.parts or 0)
