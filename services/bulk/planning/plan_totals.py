"""The result of planning a part of an audience: its chunks, and the totals of the plan including it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import phonenumbers

from libs.common.handle.context import Context
from libs.messaging.personalization import personal
from libs.messaging.quiet_hours import zones_of
from libs.messaging.vocabulary import Purpose
from services.bulk.audience.candidates import Reject
from services.bulk.model import RETENTION, BulkJob, Progress
from services.bulk.planning.estimate import parts_of
from services.bulk.planning.event_size import room_bytes
from services.bulk.running.chunks import BulkChunk, BulkRecipient, chunk_name, skipped_name
from services.bulk.running.status_string import PENDING, SKIPPED

MAX_SAMPLES = 3


@dataclass
class Part:
    """The result of planning one part."""

    sent: list[tuple[BulkRecipient, int]] = field(default_factory=list)
    skipped: list[BulkRecipient] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    rows: int = 0
    capped: int = 0
    outside: int = 0


def rejects_key(job_id: str, part: int) -> str:
    return f"jobs/{job_id}/rejects/{part:05d}.csv"


def as_reject(row: BulkRecipient) -> Reject:
    return Reject(row.row, row.reason or "", row.detail or "", row.address)


def chunks_of(part: Part, job: BulkJob, before: Progress, ctx: Context) -> Iterator[BulkChunk]:
    expires = int((ctx.now + RETENTION).timestamp())

    def chunk(name: str, rows: Sequence[BulkRecipient], char: str) -> BulkChunk:
        reasons = {str(n): str(row.reason) for n, row in enumerate(rows) if row.reason}
        return BulkChunk(
            job_id=job.job_id,
            chunk=name,
            members=" ".join(row.recipient_id for row in rows),
            marks=char * len(rows),
            reasons=reasons,
            state="waiting" if char == PENDING else "ended",
            expires_at=expires,
        )

    held: list[BulkRecipient] = []
    weight, number, room = 0, before.chunks, room_bytes(job.content)
    for row, cost in part.sent:
        if held and (len(held) == job.chunk_size or weight + cost > room):
            yield chunk(chunk_name(number), held, PENDING)
            held, weight, number = [], 0, number + 1
        held.append(row)
        weight += cost
    if held:
        yield chunk(chunk_name(number), held, PENDING)
    for n in range(0, len(part.skipped), 100):
        yield chunk(skipped_name(before.skipped_chunks + n // 100), part.skipped[n : n + 100], SKIPPED)


def summed(before: Progress, part: Part, job: BulkJob) -> Progress:
    countries, zones, digest = Counter(before.countries), Counter(before.zones), before.digest
    segments, samples = before.segments, list(before.sample_ids)
    for row, _ in part.sent:
        digest = sha256(f"{digest}{row.recipient_id}{json.dumps(row.variables, sort_keys=True)}".encode()).hexdigest()
        countries[_country(row.address[:4], row.address)] += 1
        if job.channel.traits.counts_segments:
            segments += parts_of(personal(job.content, row.variables))
        if len(samples) < MAX_SAMPLES:
            samples.append(row.recipient_id)
        if job.purpose is Purpose.MARKETING and len(zones) < 50:
            zones[_zone(row.address[:7], row.address)] += 1
    skipped = Counter(before.skipped) + Counter(str(row.reason) for row in part.skipped)
    rejected = Counter(before.rejected) + Counter(reject.reason for reject in part.rejects)
    return before.model_copy(
        update={
            "rows": before.rows + part.rows,
            "to_send": before.to_send + len(part.sent),
            "skipped": dict(skipped),
            "rejected": dict(rejected),
            "segments": segments,
            "countries": dict(countries),
            "zones": dict(zones),
            "digest": digest,
            "sample_ids": tuple(samples),
            "capped": before.capped + part.capped,
            "outside": before.outside + part.outside,
        }
    )


async def samples(job: BulkJob, ctx: Context) -> list[dict[str, Any]]:
    """Returns the messages of the first recipients."""
    rows = await asyncio.gather(*(ctx.get(BulkRecipient, job.job_id, each) for each in job.progress.sample_ids))
    return [
        {
            "recipientId": row.recipient_id,
            "contactId": row.contact_id,
            "content": personal(job.content, row.variables).model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        for row in rows
        if row is not None
    ]


def _country(begins: str, address: str) -> str:
    """Returns the calling code, which the first digits determine; ``*`` for an address that is not a number."""
    if begins not in _countries:
        try:
            _countries[begins] = str(phonenumbers.parse(address).country_code) if begins.startswith("+") else "*"
        except phonenumbers.NumberParseException:
            _countries[begins] = "*"
    return _countries[begins]


def _zone(begins: str, address: str) -> str:
    if len(_zones) > 10_000:
        _zones.clear()
    if begins not in _zones:
        _zones[begins] = zones_of(None, address)[0]
    return _zones[begins]


#: Cache of first digits -> calling code; the lookup for each number takes longer than everything else.
_countries: dict[str, str] = {}
_zones: dict[str, str] = {}
