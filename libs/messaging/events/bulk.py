"""What ``bulk`` says."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.declare.event import Event
from libs.common.declare.wire import Part
from libs.messaging.channels import Channel
from libs.messaging.content import Content
from libs.messaging.vocabulary import MessageClass, Purpose

#: ``planning``: recipients are read and checked; ``planned``: waits for approval; ``scheduled``: approved, waits for its time;
#: ``cancelling``: nothing more goes out, what was under way is seen through; ``rejected``: no plan could be made.
JobState = Literal[
    "planning", "planned", "scheduled", "running", "paused", "cancelling", "cancelled", "finished", "rejected"
]


class JobChanged(Event):
    """A job came to be or changed its state. ``revision`` only grows; the newer one wins."""

    TYPE = "bulk.job-changed.v1"
    ABOUT = "job_id"

    job_id: str
    channel: Channel
    revision: int
    state: JobState
    name: str
    at: Timestamp
    #: Why it stands there: who paused it, or which brake and what it saw.
    why: str | None = None
    planned: int = 0

    @property
    def facet(self) -> str:
        return str(self.revision)


class Addressee(Part):
    """One recipient of a chunk. ``ref`` is the job's own way to find the recipient again; senders hand it on."""

    position: int
    message_id: str
    contact_id: str
    ref: str
    variables: dict[str, str] = Field(default_factory=dict)


class ChunkReleased(Event):
    """Up to a hundred messages of a job want to be sent: ``content`` with each one's ``variables``. Ids are derived, so that a
    chunk that is released again meets the messages of before. ``revision`` is the job's when it was released."""

    TYPE = "bulk.chunk-released.v1"
    ABOUT = "job_id"

    job_id: str
    chunk: str
    #: Counts the releases of this chunk.
    release: int
    revision: int
    channel: Channel
    message_class: MessageClass = MessageClass.BULK
    purpose: Purpose
    sender: str | None = None
    content: Content
    #: Messages a second for the whole job, if it is to go slower than its sender could.
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
    """The job of a chunk was cancelled while its sender had put some of it off (night, a cap, a budget): these are not wanted
    any more. Only the sender can say what became of each."""

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
    """The next part of a job's audience is to be read (part -1: the file itself)."""

    TYPE = "bulk.plan-asked.v1"
    ABOUT = "job_id"

    job_id: str
    part: int

    @property
    def facet(self) -> str:
        return str(self.part)


class ReportAsked(Event):
    """The report of a job is to be written. ``order`` counts how often."""

    TYPE = "bulk.report-asked.v1"
    ABOUT = "job_id"

    job_id: str
    order: int

    @property
    def facet(self) -> str:
        return str(self.order)


class DriftFound(Event):
    """The auditor counted a chunk's recipients and came to something else than the chunk says."""

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
    """The report of a job lies in the bucket."""

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
