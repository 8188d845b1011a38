"""Jobs, their audience sources, and their plans. Pure."""

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

#: Recipients and chunks are kept as long as the messages themselves, plus a margin for late reports and queries.
RETENTION = timedelta(days=90)
#: Maximum time that a job's messages wait to be sent (policy of the class ``bulk``).
MAX_RUN_TIME = timedelta(hours=72)
CHUNK_RECIPIENTS = 100
#: Above this number of recipients a user must approve the plan by its hash.
MAX_WITHOUT_APPROVAL = 20
LISTED = "all"
ACTIVE = "active"


class Columns(Part):
    """The column mapping. ``address`` is a column; ``variables`` map each to a column (or ``contact:name``);
    ``fallbacks`` replace empty cells; ``region`` applies to numbers without ``+``."""

    address: str | None = None
    variables: dict[str, str] = Field(default_factory=dict)
    fallbacks: dict[str, str] = Field(default_factory=dict)
    region: str | None = None


class Source(Part):
    """The source of recipients: ``rows`` in a number of parts under a prefix, or a ``filter`` over contacts."""

    kind: Literal["upload", "contacts", "filter"]
    upload_id: str | None = None
    prefix: str | None = None
    parts: int | None = None
    filter: dict[str, Any] = Field(default_factory=dict)


class Progress(Part):
    """The progress of planning, and its totals so far."""

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
    #: Hash over the recipients and their variables, in order.
    digest: str = ""
    #: The recipients shown as samples; their messages are rendered on request, because a row is limited to 400 KB.
    sample_ids: tuple[str, ...] = ()
    reject_parts: int = 0
    #: Of ``to_send``: recipients above the marketing cap; of the rest, those who have not written within the last 24
    #: hours.
    capped: int = 0
    outside: int = 0
    #: Contact events still in the queue when planning stopped waiting for them.
    behind: int = 0

    @property
    def planned(self) -> int:
        return self.to_send + sum(self.skipped.values())


class Plan(Part):
    """The plan of a job, made before anything is sent."""

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
    #: Contact events still in the queue; the contacts concerned may be missing or outdated in the plan.
    changes_under_way: int = 0


class BulkJob(Item):
    """One job. ``version`` increases with every change of its state and is the revision in its events. ``active`` while
    the tick manages it, from ``look_at`` on."""

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
    #: Failures of the current planning step, repeated requests of it, and the last error.
    plan_tries: int = 0
    plan_error: str | None = None
    problem: dict[str, Any] | None = None
    approved_by: str | None = None
    approved_at: Timestamp | None = None
    started_at: Timestamp | None = None
    paused_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    settled_at: Timestamp | None = None
    #: Number of reports requested.
    reports: int = 0
    #: The group of chunks that the retry has reached, while it is in progress.
    retrying: int | None = None
    report: dict[str, Any] | None = None
    #: The counts at the last resume: the auto-pause rules ignore them.
    brake_base: dict[str, int] = Field(default_factory=dict)
    active: str | None = None
    look_at: Timestamp
    listed: str = LISTED

    @property
    def planned(self) -> int:
        return self.progress.planned

    def expires(self, now: datetime) -> datetime:
        """Returns the time at which its messages expire."""
        longest = (self.started_at or now) + MAX_RUN_TIME
        return min(longest, self.end_at) if self.end_at else longest
