"""Validates rows: converts each to a recipient or to a rejection reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from libs.messaging.checks import Refusal, SendFacts, refusal
from libs.messaging.errors import ErrorCode
from libs.messaging.permission import Permission
from services.bulk.model import BulkJob

MAX_VALUE_LENGTH = 1024


@dataclass(frozen=True)
class Reject:
    """A rejected row: ``invalid``, ``duplicate`` or ``missing``."""

    row: int
    reason: str
    detail: str
    written: str = ""


@dataclass
class Candidate:
    """A row with a valid address, or a contact."""

    row: int
    address: str
    contact_id: str = ""
    cells: Mapping[str, str] = field(default_factory=dict)
    standing: Permission | None = None


def candidate(number: int, cells: Sequence[str], columns: Sequence[str], job: BulkJob) -> Candidate | Reject:
    """Validates one row of a file."""
    named = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
    written = named.get(job.mapping.address or "", "")
    if not written:
        return Reject(number, "missing", f"The column {job.mapping.address!r} is empty.")
    try:
        return Candidate(number, job.channel.traits.normalise(written, job.mapping.region), cells=named)
    except ValueError as error:
        return Reject(number, "invalid", str(error), written[:100])


def values_of(one: Candidate, job: BulkJob) -> tuple[dict[str, str], list[str]]:
    """Returns the variables of a recipient, and the names of those that are missing."""
    standing = one.standing
    contact = {
        "contact:name": (standing.name if standing else None) or "",
        "contact:zone": (standing.zone if standing else None) or "",
        "contact:locale": (standing.locale if standing else None) or "",
    }
    values, missing = {}, []
    for name, column in job.mapping.variables.items():
        value = (contact.get(column) if column in contact else one.cells.get(column, "")) or ""
        value = value.strip() or job.mapping.fallbacks.get(name, "")
        if value:
            values[name] = value
        else:
            missing.append(name)
    return values, missing


def decided(
    one: Candidate, job: BulkJob, values: Mapping[str, str], missing: Sequence[str], now: datetime
) -> Refusal | None:
    """Returns why the recipient is skipped, or None."""
    if one.standing is None:
        return Refusal(ErrorCode.NO_CONSENT, "No contact has this address.")
    expires = job.end_at
    refused = refusal(one.standing, SendFacts(job.channel, job.purpose, job.content, expires), now)
    if refused is not None:
        return refused
    if missing:
        return Refusal(ErrorCode.VARIABLES_INCOMPLETE, f"Empty: {', '.join(missing)}.")
    longest = max((len(value) for value in values.values()), default=0)
    if longest > MAX_VALUE_LENGTH:
        return Refusal(ErrorCode.VARIABLES_INCOMPLETE, f"A value has {longest} characters; {MAX_VALUE_LENGTH} can go.")
    return None
