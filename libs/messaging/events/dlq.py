"""What ``dlq-replay`` says: what died, and what people decided about it."""

from __future__ import annotations

from typing import Literal

from libs.common.clock import Timestamp
from libs.common.declare.event import Event


class LetterKept(Event):
    """An event (or a provider's message) died and is kept. Ids and causes only: what it says stays with its owner."""

    TYPE = "dlq.letter-kept.v1"
    ABOUT = "dlq_message_id"

    dlq_message_id: str
    #: The queue that it died on, as it is called in AWS.
    queue: str
    service: str
    #: ``malformed``, ``version``, ``rejected``, ``exhausted``, ``unhandled`` or ``unpublishable``.
    cause: str
    event_id: str | None = None
    event_type: str | None = None
    channel: str | None = None
    message_id: str | None = None
    #: How often it has died by now.
    deaths: int
    died_at: Timestamp


class LetterDecided(Event):
    """What became of a dead letter, by whose decision and why."""

    TYPE = "dlq.letter-decided.v1"
    ABOUT = "dlq_message_id"

    dlq_message_id: str
    decision: Literal["replayed", "edited", "discarded", "quarantined"]
    by: str
    why: str = ""
    at: Timestamp
    job_id: str | None = None
    queue: str | None = None
    event_type: str | None = None
    message_id: str | None = None


class ReplayJobChanged(Event):
    """A replay was asked for, paused, resumed, cancelled or is done."""

    TYPE = "dlq.replay-job-changed.v1"
    ABOUT = "job_id"

    job_id: str
    state: str
    by: str
    why: str = ""
    at: Timestamp
    total: int
    sent: int = 0
    skipped: int = 0
    rate: float | None = None


class AlarmChanged(Event):
    """Too many dead letters of a queue are open (``raised``), or no longer. Open are those that wait and those in quarantine."""

    TYPE = "dlq.alarm-changed.v1"
    ABOUT = "queue"

    queue: str
    raised: bool
    waiting: int
    quarantined: int
    #: More than these are too many.
    few: int
    at: Timestamp
