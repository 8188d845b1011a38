"""A job's recipients in chunks of up to 100, and their counts. Pure."""

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
#: ``waiting``: to be released; ``released``: given to a sender; ``ended``: the sender has finished.
ChunkState = Literal["waiting", "released", "ended"]


class BulkRecipient(Item):
    """One recipient, with the contact and variables frozen when the job was planned, and its outcome."""

    TABLE: ClassVar[Table] = Table("recipient", key="jobId", sort="recipientId", ttl="expiresAt")

    job_id: str
    recipient_id: str
    contact_id: str
    address: str
    #: The row in the file; 0 if there is no file.
    row: int = 0
    variables: dict[str, str] = Field(default_factory=dict)
    status: str = "pending"
    rank: int = 0
    attempt: int = 1
    reason: ErrorCode | None = None
    detail: str | None = None
    #: Whether the provider has ever accepted a message to it: it is then not retried.
    accepted: bool | None = None
    sent_at: Timestamp | None = None
    delivered_at: Timestamp | None = None
    read_at: Timestamp | None = None
    updated_at: Timestamp
    expires_at: int

    @staticmethod
    def id_of(channel: str, address: str) -> str:
        """Returns the recipient's id, derived from the address; rows with the same address are one recipient."""
        return derived_id("recipient", channel, address).replace("-", "")[:20]

    def message_id(self, channel: str, attempt: int) -> str:
        return message_id(self.job_id, self.recipient_id, channel, attempt)


def message_id(job_id: str, recipient_id: str, channel: str, attempt: int) -> str:
    """Returns the derived id of a message of a job; the same input gives the same id."""
    return derived_id("bulk", job_id, recipient_id, channel, *([str(attempt)] if attempt > 1 else []))


class BulkChunk(Item):
    """Up to 100 recipients. ``marks`` has a status character for each (see :mod:`services.bulk.running.status_string`);
    ``attempts`` and ``reasons`` are by position, where they are set. ``codes`` is of the kind ``p`` (to send) or ``k``
    (skipped by the plan)."""

    TABLE: ClassVar[Table] = Table("chunk", key="jobId", sort="chunk", ttl="expiresAt")

    job_id: str
    chunk: str
    #: The recipients' ids, joined: one value is read and written much faster than 100.
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
        """Whether the chunk is with a sender, or the sender's reports on it may still arrive."""
        return self.state != "waiting"

    def counts(self) -> dict[str, int]:
        return counts_of(self.marks, self.in_hand)

    def line(self) -> str:
        due = f"@{int(self.not_before.timestamp())}" if self.state == "waiting" and self.not_before else ""
        return to_line(self.version, self.state + due, self.counts(), Counter(self.reasons.values()))


def chunk_name(number: int) -> str:
    """Returns the name of a chunk to send; names sort in the order of release."""
    return f"p{number:06d}"


def skipped_name(number: int) -> str:
    return f"k{number:06d}"


def group_of(chunk: str) -> str:
    return f"{chunk[0]}{int(chunk[1:]) // GROUP_CHUNKS:04d}"


class BulkTally(Item):
    """The counts of up to 100 chunks, each computed from its chunk and set, never incremented."""

    TABLE: ClassVar[Table] = Table("tally", key="jobId", sort="group", ttl="expiresAt")

    job_id: str
    group: str
    chunks: dict[str, str] = Field(default_factory=dict)
    expires_at: int

    def with_lines(self, lines: Mapping[str, str]) -> BulkTally | None:
        """Returns the tally with newer lines; None if none is newer."""
        updated = {name: line for name, line in lines.items() if self._older(name, line)}
        return self.model_copy(update={"chunks": {**self.chunks, **updated}}) if updated else None

    def _older(self, name: str, line: str) -> bool:
        return name not in self.chunks or from_line(self.chunks[name])[0] < from_line(line)[0]


class Frontier(Item):
    """The next chunk of a job that was never released. Advanced with a conditional write, so that each chunk is
    released once."""

    TABLE: ClassVar[Table] = Table("frontier", key="jobId", ttl="expiresAt")

    job_id: str
    next: int = 0
    expires_at: int


class OptOut(Item):
    """A recipient of a job who opted out after it was sent to."""

    TABLE: ClassVar[Table] = Table("opt-out", key="jobId", sort="recipientId", ttl="expiresAt")

    job_id: str
    recipient_id: str
    at: Timestamp
    expires_at: int
