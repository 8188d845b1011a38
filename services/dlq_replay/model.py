"""Dead letters, and the facts that a simulation needs. Pure."""

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

#: How long a dead letter is kept after its last failure, or after the last decision on it.
RETENTION = timedelta(days=7)
#: The dead letters of one state are spread over this many index keys, to limit the write rate of each.
SHARDS = 8
#: A dead letter whose replay has failed this many times is quarantined: it is replayed only with ``force``.
MAX_REPLAYS = 5
#: Maximum history of a dead letter; both the first and the last failures and actions are kept.
MAX_HISTORY = 40
#: Above this number of open dead letters of one queue the alarm is raised.
QUIET_THRESHOLD = 10


class State(StrEnum):
    """The state of a dead letter. ``replaying``: a job has taken it and is about to send it. ``replayed``: it was sent
    to its queue, and has not failed again since."""

    WAITING = "waiting"
    REPLAYING = "replaying"
    REPLAYED = "replayed"
    QUARANTINED = "quarantined"
    DISCARDED = "discarded"


class Cause(StrEnum):
    """Why an event was dead-lettered. ``unhandled``: SQS moved it after the maximum receives, without an error from a
    handler; ``unpublishable``: it was accepted, but no topic accepts it."""

    MALFORMED = "malformed"
    VERSION = "version"
    REJECTED = "rejected"
    EXHAUSTED = "exhausted"
    UNHANDLED = "unhandled"
    UNPUBLISHABLE = "unpublishable"


class Failure(Part):
    """One failure. ``id`` is that of the message on the dead-letter queue; ``decision`` the number of the replay that
    failed (0: none); ``receives`` how often it had been received by then."""

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
    #: Whether this failure exceeded the maximum of replays.
    quarantined: bool = False


class Action(Part):
    """An action on a dead letter, with its author, time and reason."""

    what: str
    at: Timestamp
    by: str
    why: str = ""
    job_id: str | None = None


class DLQMessage(Item):
    """One dead letter: one event (or one message that is not an event) on one queue, with all its failures. ``body`` is
    that of the first failure; ``edited_body`` is sent instead, if set. ``decision`` counts the replays. ``place`` and
    ``slot`` are the index keys: its state, and its time with the fields to group and filter by."""

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
    #: The message (the platform's id) and the contact concerned, if any.
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
    #: None while it is quarantined: a quarantined dead letter does not expire.
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
        """Returns body and attributes to send to its queue. The attributes link a further failure to this dead
        letter."""
        replay_attributes = {"letter": self.dlq_message_id, "replay": str(self.decision)}
        return self.edited_body or self.body, {**self.attributes, **replay_attributes}


class Slot(Part):
    """The fields of a dead letter in the index, available without reading its row."""

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
        """Parses a slot. Raises ValueError."""
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
    """Returns the text limited for a slot, since an index limits the size of its keys (1,024 bytes) and an unreadable
    event may have any name."""
    return (part or "").replace("#", "_").encode("utf-8", "replace")[:120].decode("utf-8", "ignore")


def slot_of(state: State, shard: int) -> str:
    return f"{state}#{shard}"


def shard_of(dlq_message_id: str) -> int:
    return shard_for(dlq_message_id, SHARDS)


def dead_letter_id(queue: str, event_id: str | None, body: str) -> str:
    """Returns the id of a dead letter, derived from event and queue; without an event id, from the body."""
    if event_id:
        return derived_id("letter", queue, event_id)
    return derived_id("letter", queue, "body", hashlib.sha256(body.encode()).hexdigest())


def expiry(now: datetime, kept: timedelta = RETENTION) -> int:
    """Returns the expiry as Unix time (s)."""
    return int((now + kept).timestamp())


def trimmed_history(known: tuple[T, ...], new: T) -> tuple[T, ...]:
    return (*known[:MAX_HISTORY], *known[MAX_HISTORY:][1 - MAX_HISTORY :], new)


def moved(old: Item, new: Item) -> tuple[Row, tuple[str, ...], tuple[When, ...]]:
    """Returns the fields to set, the fields to remove, and the conditions, to replace exactly the ``old`` that was read
    by ``new``."""
    before, after = old.to_row(), new.to_row()
    changed = {name: value for name, value in after.items() if before.get(name) != value} | {"version": old.version + 1}
    return changed, tuple(sorted(before.keys() - after.keys())), (When("version", "=", old.version),)


class Watched(Item):
    """The status of a message that a dead letter is about: as published when the dead letter was stored, and by its
    sender's later events. ``rank`` is that of ``status``; -1 if none was published."""

    TABLE: ClassVar[Table] = Table("watched", key="messageId", ttl="expiresAt")

    message_id: str
    status: Status | None = None
    rank: int = -1
    at: Timestamp | None = None
    expires_at: int


class QueueAlarm(Alarm):
    """The alarm of a queue, as of the last check: whether too many dead letters are open."""

    TABLE: ClassVar[Table] = Table("queue-alarm", key="listed", sort="queue")

    listed: str = "all"
    queue: str
