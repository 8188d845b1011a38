"""Jobs, their recipients in chunks of up to a hundred, and what is known of people and files. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from libs.common.clock import Timestamp, derived_id
from libs.common.declare.wire import Part
from libs.common.store.item import Index, Item, Table
from libs.messaging.channels import Channel
from libs.messaging.content import Content
from libs.messaging.errors import ErrorCode
from libs.messaging.events.bulk import JobState
from libs.messaging.vocabulary import Purpose
from services.bulk.status_string import counts_of, from_line, to_line

#: Recipients and chunks are kept as long as the messages themselves, and somewhat longer for late reports and questions.
RETENTION = timedelta(days=90)
#: A job's messages may wait no longer than this for their turn (policy of the class ``bulk``).
MAX_RUN_TIME = timedelta(hours=72)
CHUNK_RECIPIENTS = 100
#: Chunks that share one tally.
GROUP_CHUNKS = 100
#: More recipients than these need somebody who approves the plan by its hash.
MAX_WITHOUT_APPROVAL = 20
LISTED = "all"
ACTIVE = "active"

#: ``waiting`` to be released, ``released`` to a sender, ``ended`` there.
ChunkState = Literal["waiting", "released", "ended"]


class Columns(Part):
    """Which columns say what. ``address`` is a column; ``variables`` name a column each (or ``contact:name``); ``fallbacks``
    stand in where a cell is empty; ``region`` is where numbers without ``+`` are dialled."""

    address: str | None = None
    variables: dict[str, str] = Field(default_factory=dict)
    fallbacks: dict[str, str] = Field(default_factory=dict)
    region: str | None = None


class Source(Part):
    """Where recipients come from: ``rows`` lie in so many parts under a prefix, or are found by a ``filter`` over contacts."""

    kind: Literal["upload", "contacts", "filter"]
    upload_id: str | None = None
    prefix: str | None = None
    parts: int | None = None
    filter: dict[str, Any] = Field(default_factory=dict)


class Progress(Part):
    """How far planning came, and what it came to so far."""

    part: int = -1
    cursor: str | None = None
    rows: int = 0
    chunks: int = 0
    skipped_chunks: int = 0
    to_send: int = 0
    skipped: dict[str, int] = Field(default_factory=dict)
    rejected: dict[str, int] = Field(default_factory=dict)
    segments: int = 0
    countries: dict[str, int] = Field(default_factory=dict)
    zones: dict[str, int] = Field(default_factory=dict)
    #: Over the recipients and their variables, in order.
    digest: str = ""
    #: The recipients that the plan shows; their messages are made when somebody looks, for a row holds 400 KB.
    sample_ids: tuple[str, ...] = ()
    reject_parts: int = 0
    #: Of ``to_send``: above the cap on marketing; of the others, who has not written to us within the last 24 hours.
    capped: int = 0
    outside: int = 0
    #: Changes of contacts that were still on their way when planning could wait no longer.
    behind: int = 0

    @property
    def planned(self) -> int:
        return self.to_send + sum(self.skipped.values())


class Plan(Part):
    """What a job comes to, before anything is sent."""

    hash: str
    rows: int
    recipients: int
    to_send: int
    skipped: dict[str, int]
    rejected: dict[str, int]
    segments: int | None = None
    cost: dict[str, Any]
    per_second: float
    starts_at: Timestamp
    finishes_at: Timestamp
    made_at: Timestamp
    #: Changes of contacts that were still on their way; who they are about may be missing here, or shown as they were before.
    changes_under_way: int = 0


class BulkJob(Item):
    """One job. ``version`` grows with every change of its state and is the revision in what is said. ``active`` while the tick
    has to look at it, from ``look_at`` on."""

    TABLE: ClassVar[Table] = Table(
        "job",
        key="jobId",
        indexes=(
            Index("by-active", hash="active", sort="lookAt"),
            Index("by-creation", hash="listed", sort="createdAt"),
        ),
    )

    job_id: str
    name: str
    created_by: str
    created_at: Timestamp
    updated_at: Timestamp
    state: JobState = "planning"
    why: str | None = None
    channel: Channel
    purpose: Purpose
    sender: str | None = None
    content: Content
    source: Source
    mapping: Columns
    chunk_size: int = CHUNK_RECIPIENTS
    throttle_per_second: float | None = None
    start_at: Timestamp | None = None
    end_at: Timestamp | None = None
    hold: bool = False
    progress: Progress = Field(default_factory=Progress)
    plan: Plan | None = None
    #: Failures of the present step of planning, and requests to take it again; and what went wrong last.
    plan_tries: int = 0
    plan_error: str | None = None
    problem: dict[str, Any] | None = None
    approved_by: str | None = None
    approved_at: Timestamp | None = None
    started_at: Timestamp | None = None
    paused_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    settled_at: Timestamp | None = None
    #: How often a report was ordered.
    reports: int = 0
    #: The group of chunks at which retrying stands, while it is under way.
    retrying: int | None = None
    report: dict[str, Any] | None = None
    #: What the auto-pause rules had seen when somebody resumed: only what came after counts again.
    brake_base: dict[str, int] = Field(default_factory=dict)
    active: str | None = None
    look_at: Timestamp
    listed: str = LISTED

    @property
    def planned(self) -> int:
        return self.progress.planned

    def expires(self, now: datetime) -> datetime:
        """When its messages are not wanted any more."""
        longest = (self.started_at or now) + MAX_RUN_TIME
        return min(longest, self.end_at) if self.end_at else longest


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
    """Up to a hundred recipients. ``marks`` has a letter for each (see :mod:`services.bulk.status_string`); ``attempts`` and
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
