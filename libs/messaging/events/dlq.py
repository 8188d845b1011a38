"""Events that ``dlq-replay`` publishes: dead letters and the decisions on them."""

from __future__ import annotations

from typing import Literal

from libs.common.clock import Timestamp
from libs.common.declare.event import Event


class LetterKept(Event):
    """A dead letter (an event or a provider's message) was stored. Contains ids and causes only; the payload is not
    included."""

    TYPE = "dlq.letter-kept.v1"
    ABOUT = "dlq_message_id"

    dlq_message_id: str
    #: The dead letter's source queue, by its name in AWS.
    queue: str
    service: str
    #: ``malformed``, ``version``, ``rejected``, ``exhausted``, ``unhandled`` or ``unpublishable``.
    cause: str
    event_id: str | None = None
    event_type: str | None = None
    channel: str | None = None
    message_id: str | None = None
    #: How many times it has been dead-lettered so far.
    deaths: int
    died_at: Timestamp


class LetterDecided(Event):
    """The decision on a dead letter, with its author and reason."""

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
    """A replay job was requested, paused, resumed, cancelled or completed."""

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
    """The alarm of a queue was raised (too many open dead letters) or cleared. Open are those that wait and those in
    quarantine."""

    TYPE = "dlq.alarm-changed.v1"
    ABOUT = "queue"

    queue: str
    raised: bool
    waiting: int
    quarantined: int
    #: The threshold: the alarm is raised above this number.
    few: int
    at: Timestamp
