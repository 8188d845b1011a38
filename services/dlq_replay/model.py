"""Dead letters, and the few facts that a simulation needs. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, TypeVar

from pydantic import Field

from libs.common.clock import Timestamp, derived_id, iso
from libs.common.declare.wire import Part
from libs.common.handle.alarms import Alarm
from libs.common.stable_hash import shard_for
from libs.common.store.item import Index, Item, Row, Table
from libs.common.store.ops import When
from libs.messaging.vocabulary import Status

T = TypeVar("T")

#: How long a dead letter is kept after it died, or after the last decision about it.
RETENTION = timedelta(days=7)
#: The dead letters of one state are spread over so many index keys, that none sees too many writes.
SHARDS = 8
#: A dead letter that has died of so many replays is quarantined: it is left alone until somebody insists.
MAX_REPLAYS = 5
#: What is remembered of a dead letter: its first deaths and actions are as telling as the last.
MAX_HISTORY = 40
#: More open dead letters of one queue than these raise its alarm.
QUIET_THRESHOLD = 10


class State(StrEnum):
    """``replaying``: a job has taken it and is about to send it. ``replayed``: it is back on its queue, and has not died
    again since."""

    WAITING = "waiting"
    REPLAYING = "replaying"
    REPLAYED = "replayed"
    QUARANTINED = "quarantined"
    DISCARDED = "discarded"


class Cause(StrEnum):
    """Why an event died; ``unhandled``: SQS gave up on it, and nobody was there to say why; ``unpublishable``: it was accepted,
    and no topic takes it."""

    MALFORMED = "malformed"
    VERSION = "version"
    REJECTED = "rejected"
    EXHAUSTED = "exhausted"
    UNHANDLED = "unhandled"
    UNPUBLISHABLE = "unpublishable"


class Failure(Part):
    """One time that it died. ``id`` is that of the message on the dead-letter queue; ``decision`` the replay it died of
    (0: of none); ``receives`` how often it had been received by then."""

    id: str
    at: Timestamp
    cause: str
    exception: str = ""
    text: str = ""
    handler: str = ""
    build: str = ""
    receives: int = 1
    first_received_at: Timestamp | None = None
    decision: int = 0
    #: It was one too many.
    quarantined: bool = False


class Action(Part):
    """Who did what to a dead letter, when and why."""

    what: str
    at: Timestamp
    by: str
    why: str = ""
    job_id: str | None = None


class DLQMessage(Item):
    """One event that died on one queue (or one message that is no event), however often. ``body`` is as it first died;
    ``edited_body`` is sent instead, if there is one. ``decision`` counts the replays. ``place`` and ``slot`` are where the
    index has it: its state, and its time with what it can be grouped and filtered by."""

    TABLE: ClassVar[Table] = Table(
        "dlq-message", key="dlqMessageId", indexes=(Index("by-place", hash="place", sort="slot"),), ttl="expiresAt"
    )

    dlq_message_id: str
    state: State = State.WAITING
    queue: str
    service: str
    handler: str
    build: str
    cause: str
    exception: str
    text: str
    event_id: str | None = None
    event_type: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    channel: str | None = None
    #: The message (ours) and the contact that it is about, where it is about one.
    message_id: str | None = None
    contact_id: str | None = None
    body: str
    edited_body: str | None = None
    attributes: dict[str, str] = Field(default_factory=dict)
    first_died_at: Timestamp
    died_at: Timestamp
    deaths: tuple[Failure, ...] = ()
    death_count: int = 0
    history: tuple[Action, ...] = ()
    decision: int = 0
    job_id: str | None = None
    replayed_at: Timestamp | None = None
    place: str
    slot: str
    #: None while it is quarantined: what nobody could fix is not thrown away by a clock.
    expires_at: int | None = None

    def with_state(self, state: State, now: datetime) -> DLQMessage:
        return self.model_copy(
            update={
                "state": state,
                "place": slot_of(state, shard_of(self.dlq_message_id)),
                "expires_at": None if state is State.QUARANTINED else expiry(now),
            }
        )

    def with_action(self, action: Action) -> DLQMessage:
        return self.model_copy(update={"history": trimmed_history(self.history, action)})

    def to_send(self) -> tuple[str, dict[str, str]]:
        """Body and attributes for its queue. The attributes bring a further death back to this dead letter."""
        replay_attributes = {"letter": self.dlq_message_id, "replay": str(self.decision)}
        return self.edited_body or self.body, {**self.attributes, **replay_attributes}


class Slot(Part):
    """What the index knows of a dead letter without reading it."""

    died_at: str
    cause: str
    queue: str
    event_type: str
    channel: str
    dlq_message_id: str

    @staticmethod
    def of(dead_letter: DLQMessage) -> str:
        parts = (
            dead_letter.cause,
            dead_letter.queue,
            dead_letter.event_type,
            dead_letter.channel,
            dead_letter.dlq_message_id,
        )
        return "#".join([iso(dead_letter.died_at), *(plain(part) for part in parts)])

    @staticmethod
    def parse(text: str) -> Slot:
        """Raises ValueError."""
        died_at, cause, queue, event_type, channel, dlq_message_id = text.split("#")
        return Slot(
            died_at=died_at,
            cause=cause,
            queue=queue,
            event_type=event_type,
            channel=channel,
            dlq_message_id=dlq_message_id,
        )


def plain(part: str | None) -> str:
    """As it can stand in a slot, whose bytes an index limits (1,024): what could not be read may be called anything."""
    return (part or "").replace("#", "_").encode("utf-8", "replace")[:120].decode("utf-8", "ignore")


def slot_of(state: State, shard: int) -> str:
    return f"{state}#{shard}"


def shard_of(dlq_message_id: str) -> int:
    return shard_for(dlq_message_id, SHARDS)


def dead_letter_id(queue: str, event_id: str | None, body: str) -> str:
    """One event on one queue is one dead letter; what is no event is known by what it says."""
    if event_id:
        return derived_id("letter", queue, event_id)
    return derived_id("letter", queue, "body", hashlib.sha256(body.encode()).hexdigest())


def expiry(now: datetime, kept: timedelta = RETENTION) -> int:
    """Unix seconds."""
    return int((now + kept).timestamp())


def trimmed_history(known: tuple[T, ...], new: T) -> tuple[T, ...]:
    return (*known[:MAX_HISTORY], *known[MAX_HISTORY:][1 - MAX_HISTORY :], new)


def moved(old: Item, new: Item) -> tuple[Row, tuple[str, ...], tuple[When, ...]]:
    """What to set, what to remove and on which condition, to write ``new`` over exactly the ``old`` that was read."""
    before, after = old.to_row(), new.to_row()
    changed = {name: value for name, value in after.items() if before.get(name) != value} | {"version": old.version + 1}
    return changed, tuple(sorted(before.keys() - after.keys())), (When("version", "=", old.version),)


class Watched(Item):
    """Where a message stands that a dead letter is about: as it was told when the dead letter came, and by what its sender has said
    since; ``rank`` is that of ``status`` and -1 while nothing was said."""

    TABLE: ClassVar[Table] = Table("watched", key="messageId", ttl="expiresAt")

    message_id: str
    status: Status | None = None
    rank: int = -1
    at: Timestamp | None = None
    expires_at: int


class QueueAlarm(Alarm):
    """That too many dead letters of a queue were open when somebody last looked, or no longer."""

    TABLE: ClassVar[Table] = Table("queue-alarm", key="listed", sort="queue")

    listed: str = "all"
    queue: str
