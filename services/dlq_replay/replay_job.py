"""Replay jobs and their lists of dead letters. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from libs.common.clock import Timestamp
from libs.common.store.item import Index, Item, Table
from services.dlq_replay.model import Action

JOB_RETENTION = timedelta(days=30)
#: Ids in one row of a job.
CHUNK_DEAD_LETTERS = 250


class ReplayJob(Item):
    """A replay job of a fixed list of dead letters (in :class:`ReplayChunk` rows) at ``rate`` dead letters per second.
    ``position`` is its progress; ``owner`` works on it until ``lease_until``. ``open`` is set while the job needs an
    owner."""

    TABLE: ClassVar[Table] = Table(
        "replay-job",
        key="jobId",
        indexes=(
            Index("by-open", hash="open", sort="createdAt"),
            Index("by-creation", hash="listed", sort="createdAt"),
        ),
        ttl="expiresAt",
    )

    job_id: str
    #: ``running``, ``pausing``, ``paused``, ``cancelling``, ``cancelled``, ``done``.
    state: str = "running"
    by: str
    why: str = ""
    #: Includes quarantined dead letters.
    force: bool = False
    rate: float
    total: int
    position: int = 0
    sent: int = 0
    skipped: int = 0
    created_at: Timestamp
    #: When the first and the last dead letter were sent.
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    next_at: Timestamp | None = None
    owner: str | None = None
    lease_until: Timestamp
    history: tuple[Action, ...] = ()
    open: str | None = "open"
    listed: str = "all"
    expires_at: int


class ReplayChunk(Item):
    """The dead letters of a job, in order: row ``n`` (of fixed width) has :data:`CHUNK_DEAD_LETTERS` ids, the last one
    the rest."""

    TABLE: ClassVar[Table] = Table("replay-chunk", key="jobId", sort="n", ttl="expiresAt")

    job_id: str
    n: str
    ids: tuple[str, ...]
    expires_at: int

    @staticmethod
    def name(n: int) -> str:
        return f"{n:05d}"
