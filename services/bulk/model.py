"""Jobs, where their recipients come from, and their plans. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.declare.wire import Part
from libs.common.store.item import Index, Item, Table
from libs.messaging.channels import Channel
from libs.messaging.content import Content
from libs.messaging.events.bulk import JobState
from libs.messaging.vocabulary import Purpose

#: Recipients and chunks are kept as long as the messages themselves, and somewhat longer for late reports and questions.
RETENTION = timedelta(days=90)
#: A job's messages may wait no longer than this for their turn (policy of the class ``bulk``).
MAX_RUN_TIME = timedelta(hours=72)
CHUNK_RECIPIENTS = 100
#: More recipients than these need somebody who approves the plan by its hash.
MAX_WITHOUT_APPROVAL = 20
LISTED = "all"
ACTIVE = "active"


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
