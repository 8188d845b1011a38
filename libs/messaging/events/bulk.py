"""Events that ``bulk`` publishes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.declare.event import Event
from libs.common.declare.wire import Part
from libs.messaging.channels import Channel
from libs.messaging.content import Content
from libs.messaging.vocabulary import MessageClass, Purpose

#: ``planning``: recipients are read and checked; ``planned``: waits for approval; ``scheduled``: approved, waits for
#: its start time; ``cancelling``: no further messages are released, those in progress are completed; ``rejected``: no
#: plan could be made.
JobState = Literal[
    "planning", "planned", "scheduled", "running", "paused", "cancelling", "cancelled", "finished", "rejected"
]


class JobChanged(Event):
    """A job was created or changed its state. ``revision`` only increases; the highest applies."""

    TYPE = "bulk.job-changed.v1"
    ABOUT = "job_id"

    job_id: str
    channel: Channel
    revision: int
    state: JobState
    name: str
    at: Timestamp
    #: The reason for the state: who paused it, or which auto-pause rule and its figures.
    why: str | None = None
    planned: int = 0

    @property
    def facet(self) -> str:
        return str(self.revision)


class Addressee(Part):
    """One recipient of a chunk. ``ref`` identifies the recipient within the job; senders return it in their reports."""

    position: int
    message_id: str
    contact_id: str
    ref: str
    variables: dict[str, str] = Field(default_factory=dict)


class ChunkReleased(Event):
    """Requests the sending of up to 100 messages of a job: ``content`` with each recipient's ``variables``. Message ids
    are derived, so a repeated release of a chunk refers to the same messages. ``revision`` is the job's at the
    release."""

    TYPE = "bulk.chunk-released.v1"
    ABOUT = "job_id"

    job_id: str
    chunk: str
    #: The number of this release of the chunk.
    release: int
    revision: int
    channel: Channel
    message_class: MessageClass = MessageClass.BULK
    purpose: Purpose
    sender: str | None = None
    content: Content
    #: Messages per second for the whole job, if it is throttled below the sender's rate.
    throttle_per_second: float | None = None
    released_at: Timestamp
    expires_at: Timestamp
    addressees: tuple[Addressee, ...]

    @property
    def subject(self) -> str:
        return f"{self.job_id}/{self.chunk}"

    @property
    def facet(self) -> str:
        return str(self.release)


class ChunkCalledBack(Event):
    """The job of a chunk was cancelled after its sender had deferred some messages (quiet hours, a cap, a budget):
    these are to be cancelled. Only the sender knows the outcome of each."""

    TYPE = "bulk.chunk-called-back.v1"
    ABOUT = "job_id"

    job_id: str
    chunk: str
    channel: Channel
    message_ids: tuple[str, ...]
    at: Timestamp

    @property
    def subject(self) -> str:
        return f"{self.job_id}/{self.chunk}"


class PlanAsked(Event):
    """Requests that the next part of a job's audience is read (part -1: the file itself)."""

    TYPE = "bulk.plan-asked.v1"
    ABOUT = "job_id"

    job_id: str
    part: int

    @property
    def facet(self) -> str:
        return str(self.part)


class ReportAsked(Event):
    """Requests that the report of a job is written. ``order`` numbers the requests."""

    TYPE = "bulk.report-asked.v1"
    ABOUT = "job_id"

    job_id: str
    order: int

    @property
    def facet(self) -> str:
        return str(self.order)


class DriftFound(Event):
    """The auditor's count of a chunk's recipients differs from the counts stored in the chunk."""

    TYPE = "bulk.drift-found.v1"
    ABOUT = "job_id"

    job_id: str
    chunk: str
    at: Timestamp
    counted: dict[str, Any]
    said: dict[str, Any]

    @property
    def facet(self) -> str:
        return self.chunk


class ReportWritten(Event):
    """The report of a job was written to the bucket."""

    TYPE = "bulk.report-written.v1"
    ABOUT = "job_id"

    job_id: str
    channel: Channel
    at: Timestamp
    final: bool
    counts: dict[str, int]
    key: str

    @property
    def facet(self) -> str:
        return self.key
