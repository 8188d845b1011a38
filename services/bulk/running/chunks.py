"""A job's recipients in chunks of up to a hundred, and their counts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from libs.common.clock import Timestamp, derived_id
from libs.common.store.item import Item, Table
from libs.messaging.errors import ErrorCode
from services.bulk.running.status_string import counts_of, from_line, to_line

#: Chunks that share one tally.
GROUP_CHUNKS = 100
#: ``waiting`` to be released, ``released`` to a sender, ``ended`` there.
ChunkState = Literal["waiting", "released", "ended"]


class BulkRecipient(Item):
    """One recipient, frozen when the job was planned: who, and with which variables. The rest is what became of it."""

    TABLE: ClassVar[Table] = Table("recipient", key="jobId", sort="recipientId", ttl="expiresAt")

    job_id: str
    recipient_id: str
    contact_id: str
    address: str
    #: The line in the file; 0 where there was none.
    row: int = 0
    variables: dict[str, str] = Field(default_factory=dict)
    status: str = "pending"
    rank: int = 0
    attempt: int = 1
    reason: ErrorCode | None = None
    detail: str | None = None
    #: Whether the provider has ever taken a message of it: then it is not tried again.
    accepted: bool | None = None
    sent_at: Timestamp | None = None
    delivered_at: Timestamp | None = None
    read_at: Timestamp | None = None
    updated_at: Timestamp
    expires_at: int

    @staticmethod
    def id_of(channel: str, address: str) -> str:
        """The same address is the same recipient, whatever row it stands in."""
        return derived_id("recipient", channel, address).replace("-", "")[:20]

    def message_id(self, channel: str, attempt: int) -> str:
        return message_id(self.job_id, self.recipient_id, channel, attempt)


def message_id(job_id: str, recipient_id: str, channel: str, attempt: int) -> str:
    """Our id of a message of a job: whoever works it out again comes to the same."""
    return derived_id("bulk", job_id, recipient_id, channel, *([str(attempt)] if attempt > 1 else []))


class BulkChunk(Item):
    """Up to a hundred recipients. ``marks`` has a letter for each (see :mod:`services.bulk.running.status_string`); ``attempts`` and
    ``reasons`` are by position, where there is something to tell. ``codes`` is of the kind ``p`` (to send) or ``k`` (skipped
    by the plan)."""

    TABLE: ClassVar[Table] = Table("chunk", key="jobId", sort="chunk", ttl="expiresAt")

    job_id: str
    chunk: str
    #: The recipients' ids, joined: one value is read and written much faster than a hundred.
    members: str
    marks: str
    state: ChunkState = "waiting"
    release: int = 0
    released_at: Timestamp | None = None
    not_before: Timestamp | None = None
    attempts: dict[str, int] = Field(default_factory=dict)
    reasons: dict[str, str] = Field(default_factory=dict)
    expires_at: int

    @property
    def ids(self) -> list[str]:
        return self.members.split()

    def attempt(self, position: int) -> int:
        return self.attempts.get(str(position), 1)

    @property
    def in_hand(self) -> bool:
        """With a sender, or what the sender said of it is still on its way here."""
        return self.state != "waiting"

    def counts(self) -> dict[str, int]:
        return counts_of(self.marks, self.in_hand)

    def line(self) -> str:
        due = f"@{int(self.not_before.timestamp())}" if self.state == "waiting" and self.not_before else ""
        return to_line(self.version, self.state + due, self.counts(), Counter(self.reasons.values()))


def chunk_name(number: int) -> str:
    """The chunks to send, in the order in which they are released."""
    return f"p{number:06d}"


def skipped_name(number: int) -> str:
    return f"k{number:06d}"


def group_of(chunk: str) -> str:
    return f"{chunk[0]}{int(chunk[1:]) // GROUP_CHUNKS:04d}"


class BulkTally(Item):
    """The counts of up to a hundred chunks, each worked out from its chunk and set, never added to."""

    TABLE: ClassVar[Table] = Table("tally", key="jobId", sort="group", ttl="expiresAt")

    job_id: str
    group: str
    chunks: dict[str, str] = Field(default_factory=dict)
    expires_at: int

    def with_lines(self, lines: Mapping[str, str]) -> BulkTally | None:
        """With newer lines; None if none is newer."""
        updated = {name: line for name, line in lines.items() if self._older(name, line)}
        return self.model_copy(update={"chunks": {**self.chunks, **updated}}) if updated else None

    def _older(self, name: str, line: str) -> bool:
        return name not in self.chunks or from_line(self.chunks[name])[0] < from_line(line)[0]


class Frontier(Item):
    """The next chunk of a job that was never released. Moved by condition, so that each is released by one."""

    TABLE: ClassVar[Table] = Table("frontier", key="jobId", ttl="expiresAt")

    job_id: str
    next: int = 0
    expires_at: int


class OptOut(Item):
    """A recipient of a job that opted out after it was sent to."""

    TABLE: ClassVar[Table] = Table("opt-out", key="jobId", sort="recipientId", ttl="expiresAt")

    job_id: str
    recipient_id: str
    at: Timestamp
    expires_at: int
