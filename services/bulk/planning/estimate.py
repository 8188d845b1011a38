"""Estimates of a job: segments, cost, duration. Pure."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.clock import iso
from libs.common.settings import Settings
from libs.messaging.content import Content, Rich, Text
from libs.messaging.quiet_hours import Hours, next_allowed
from libs.messaging.segments import segments
from libs.messaging.settings import MessagingSettings
from libs.messaging.vocabulary import Purpose
from services.bulk.model import BulkJob, Plan, Progress

#: The estimate of the finishing time covers at most this many days.
MAX_DAYS = 30


#: The price table of a channel without a price.
_FREE: dict[str, Any] = {"per": "message", "fee": 0, "*": {"*": 0}}


@cache
def prices() -> dict[str, Any]:
    """Returns the price table of the repository."""
    return dict(json.loads(Path(__file__).with_name("prices.json").read_text()))


def parts_of(content: Content) -> int:
    """Returns the number of segments of a text; 1 for content that is not billed by segments."""
    if isinstance(content, Text):
        return segments(content.body).parts
    if isinstance(content, Rich) and content.text:
        return 1
    return 1


def per_second(job: BulkJob, settings: MessagingSettings) -> float:
    """Returns the rate in messages per second: the sender's, or the job's own if lower. The sender counts the segments
    of a text."""
    senders = settings.senders_of(job.channel)
    sender = job.sender or (senders.identities[0].id if senders.identities else None)
    rate = (senders.identity(sender).per_second if sender else None) or job.channel.traits.messages_per_second
    return min(rate, job.throttle_per_second or rate)


def cost(job: BulkJob, progress: Progress, category: str | None) -> dict[str, Any]:
    """Returns the cost by country and in total."""
    table = prices()
    channel = table.get(job.channel.traits.price_key or "") or _FREE
    usual = "MARKETING" if job.purpose is Purpose.MARKETING else "UTILITY"
    rates = channel.get(category or usual) or channel.get("*") or channel[usual]
    billed = progress.segments / progress.to_send if channel["per"] == "part" and progress.to_send else 1
    by_country = {
        country: round(n * billed * (rates.get(country, rates["*"]) + channel["fee"]), 4)
        for country, n in sorted(progress.countries.items())
    }
    return {
        "currency": table["currency"],
        "illustrative": table["illustrative"],
        "total": round(sum(by_country.values()), 2),
        "byCountry": by_country,
    }


def finishing_time(job: BulkJob, progress: Progress, rate: float, now: datetime) -> tuple[datetime, datetime]:
    """Returns the start time and the time of the last send. Marketing is deferred during the recipient's quiet
    hours."""
    start = max(now, job.start_at or now)
    needed = timedelta(seconds=progress.to_send / rate if rate else 0)
    if job.purpose is not Purpose.MARKETING or not progress.zones:
        return start, start + needed
    return start, max(_awake(start, needed, zone) for zone in progress.zones)


def _awake(start: datetime, needed: timedelta, zone: str) -> datetime:
    hours = Hours()
    place = ZoneInfo(zone)
    moment, left = start, needed
    for _ in range(MAX_DAYS):
        opened = next_allowed(moment, (zone,), hours)
        if opened is None:
            return start + needed
        local = opened.astimezone(place)
        closes = datetime.combine(local.date(), hours.closes, place)
        if opened + left <= closes:
            return opened + left
        left -= closes - opened
        moment = closes
    return moment + left


def plan(job: BulkJob, category: str | None, settings: Settings, now: datetime) -> Plan:
    """Returns the plan with the hash to approve: over the content, every recipient with variables, and the run
    parameters."""
    progress = job.progress
    rate = per_second(job, settings.of(MessagingSettings))
    starts, finishes = finishing_time(job, progress, rate, now)
    return Plan(
        hash=_hash(job),
        rows=progress.rows,
        recipients=progress.planned,
        to_send=progress.to_send,
        skipped=progress.skipped,
        rejected=progress.rejected,
        segments=progress.segments if job.channel.traits.counts_segments else None,
        cost=cost(job, progress, category),
        per_second=rate,
        starts_at=starts,
        finishes_at=finishes,
        made_at=now,
        changes_under_way=progress.behind,
    )


def _hash(job: BulkJob) -> str:
    progress = job.progress
    facts = {
        "job": job.job_id,
        "channel": job.channel,
        "purpose": job.purpose,
        "sender": job.sender,
        "content": job.content.model_dump(mode="json", by_alias=True, exclude_none=True),
        "recipients": progress.digest,
        "toSend": progress.to_send,
        "skipped": progress.skipped,
        "throttle": job.throttle_per_second,
        "startAt": iso(job.start_at) if job.start_at else None,
        "endAt": iso(job.end_at) if job.end_at else None,
    }
    return sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
