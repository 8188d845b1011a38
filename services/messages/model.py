"""Items of ``messages``: messages with their steps, conversations, and the index of provider ids. Pure.

Each step is an attribute of the message's own row, one per status (``stepSent``, ``stepSentReported`` …), so that a
change of status is one conditional write and a late report can still add its facts.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.declare.wire import Part
from libs.common.stable_hash import shard_for
from libs.common.store.item import Index, Item, Row, Table
from libs.messaging.channels import Channel
from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import Direction, MessageClass, Purpose, Status

#: How long a message is kept.
RETENTION = timedelta(days=30)
#: Number of index keys that share the open messages, so that no key receives too many writes.
OPEN_SHARDS = 8
STEP = "step"
MEDIA_REF = "mediaRef"
#: The tenth and later attempts share one step: the size of a row is bounded.
MAX_ATTEMPTS = 9

Source = Literal["request", "customer", "sender", "provider", "auditor"]


class Settled(Part):
    """The outcome that is published to a sender with an uncertain send."""

    status: Status
    provider_id: str | None = None
    error_code: ErrorCode | None = None


class Moment(Part):
    """One step of a message. ``cause`` is the id of its event or request: only a redelivery of that one publishes the
    events again. ``moved``: the status rose; ``settles``: the outcome that was published to the sender."""

    what: str
    at: Timestamp
    source: Source
    cause: str
    moved: bool = False
    settles: Settled | None = None
    attempt: int = 0
    actor: str | None = None
    code: ErrorCode | None = None
    provider_code: str | None = None
    provider_status: str | None = None
    detail: str | None = None
    not_before: Timestamp | None = None
    notes: tuple[str, ...] = ()

    def slot(self) -> str:
        """The attribute name: one per status and attempt, and separate for the provider's reports."""
        words = re.split(r"[^A-Za-z0-9]+", self.provider_status or "" if self.what == "note" else self.what)
        name = "".join(word.capitalize() for word in words)[:40]
        reported = "Reported" if self.source == "provider" else ""
        attempt = str(min(self.attempt, MAX_ATTEMPTS)) if self.attempt > 1 else ""
        return f"{STEP}{name}{reported}{attempt}"

    def to_attribute(self) -> Row:
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class TemplateUsed(Part):
    """The template that the content was rendered from; ``number`` is its version, if known."""

    name: str
    language: str
    number: int | None = None


class Message(Item):
    """A message. ``rank`` is that of ``status``; a write that would lower it is refused. ``provider_id`` is from the
    answer to the send; ``reported_id`` is the one that receipts use (WhatsApp's wamid). ``send_by`` is the end of the
    time to live, ``expires_at`` that of the row. ``open`` and ``settle_by`` exist while the sender has reported nothing
    beyond ``deferred``."""

    TABLE: ClassVar[Table] = Table(
        "message",
        key="messageId",
        indexes=(
            Index("by-contact", hash="contactId", sort="createdAt"),
            Index("by-channel", hash="channel", sort="createdAt"),
            Index("by-open", hash="open", sort="settleBy"),
        ),
        ttl="expiresAt",
    )

    message_id: str
    contact_id: str
    channel: Channel
    direction: Direction
    message_class: MessageClass | None = None
    purpose: Purpose | None = None
    #: A ``libs.messaging.content`` as JSON. None after deletion, and for a job's messages, whose content the job has.
    content: dict[str, Any] | None = None
    template: TemplateUsed | None = None
    status: Status
    rank: int
    error_code: ErrorCode | None = None
    provider_code: str | None = None
    error_detail: str | None = None
    provider_id: str | None = None
    reported_id: str | None = None
    #: Our identity: the sender of an outbound message, the recipient of an inbound one.
    sender: str | None = None
    to: str | None = None
    job_id: str | None = None
    job_ref: str | None = None
    created_by: str | None = None
    in_reply_to: str | None = None
    created_at: Timestamp
    send_by: Timestamp | None = None
    resends: int = 0
    dry_run: bool | None = None
    deleted_at: Timestamp | None = None
    open: str | None = None
    settle_by: Timestamp | None = None
    expires_at: int
    steps: dict[str, Moment] = Field(default_factory=dict, exclude=True)
    #: Ids of the files of an inbound message by position; one attribute each, because the files are stored one by one.
    files: dict[int, str] = Field(default_factory=dict, exclude=True)

    def to_row(self) -> Row:
        moments = {slot: moment.to_attribute() for slot, moment in self.steps.items()}
        return super().to_row() | moments | {file_slot(part): file_id for part, file_id in self.files.items()}

    @classmethod
    def from_row(cls, row: Row) -> Self:
        steps = {
            name: value for name, value in row.items() if name.startswith(STEP) and name[len(STEP) :][:1].isupper()
        }
        files = {name.removeprefix(MEDIA_REF): value for name, value in row.items() if name.startswith(MEDIA_REF)}
        return cls.model_validate({**row, "steps": steps, "files": files})

    def with_step(self, *moments: Moment) -> Self:
        return self.model_copy(update={"steps": {**self.steps, **{moment.slot(): moment for moment in moments}}})

    def provider_ids(self) -> list[str]:
        return list(dict.fromkeys(each for each in (self.provider_id, self.reported_id) if each))

    @property
    def media_refs(self) -> list[str]:
        """The ids of its files, in order."""
        return [self.files[part] for part in sorted(self.files)]

    def was_reported(self) -> bool:
        """Whether the provider has sent any report about it."""
        return any(moment.source == "provider" for moment in self.steps.values())


def file_slot(part: int) -> str:
    """The attribute that holds a file's id."""
    return f"{MEDIA_REF}{part}"


def kept_until(moment: datetime) -> int:
    """The expiry (Unix seconds) of a row created at ``moment``."""
    return int((moment + RETENTION).timestamp())


def open_shard(message_id: str) -> str:
    return str(shard_for(message_id, OPEN_SHARDS))


class ProviderId(Item):
    """Maps a provider's id to our message id. A row and not an index: a receipt can arrive milliseconds after the send,
    when an index is not updated yet."""

    TABLE: ClassVar[Table] = Table("provider-id", key="id", ttl="expiresAt")

    id: str
    message_id: str
    expires_at: int

    @staticmethod
    def id_of(channel: str, provider_id: str) -> str:
        return f"{channel}#{provider_id}"


class Orphan(Item):
    """A report about a message that is not known: when it was first received, and whether it was given up
    (``lost``)."""

    TABLE: ClassVar[Table] = Table("orphan", key="id", ttl="expiresAt")

    id: str
    channel: Channel
    about: str
    status: Status
    first_at: Timestamp
    lost: str | None = None
    expires_at: int


class Conversation(Item):
    """One contact on one channel. All times only increase."""

    TABLE: ClassVar[Table] = Table(
        "conversation",
        key="contactId",
        sort="channel",
        indexes=(Index("by-last", hash="channel", sort="lastMessageAt"),),
        ttl="expiresAt",
    )

    contact_id: str
    channel: Channel
    last_message_at: Timestamp
    last_message_id: str
    last_direction: Direction
    last_inbound_at: Timestamp | None = None
    last_outbound_at: Timestamp | None = None
    #: Our identity that the contact wrote to last; replies are sent from it.
    sender: str | None = None
    expires_at: int

    def unanswered(self) -> bool:
        """Derived from the times: a counter would count a redelivery twice."""
        if self.last_inbound_at is None:
            return False
        return self.last_outbound_at is None or self.last_outbound_at < self.last_inbound_at


def conversation_after(known: Conversation | None, message: Message) -> Conversation | None:
    """Returns the conversation updated by ``message``, or None if nothing changes."""
    inbound = message.direction is Direction.INBOUND
    side = "last_inbound_at" if inbound else "last_outbound_at"
    at = message.created_at
    latest = {
        "last_message_at": at,
        "last_message_id": message.message_id,
        "last_direction": message.direction,
        "expires_at": kept_until(at),
    }
    here = {side: at, "sender": message.sender} if inbound else {side: at}
    if known is None:
        return Conversation(contact_id=message.contact_id, channel=message.channel, **here, **latest)
    before = getattr(known, side)
    updated: dict[str, Any] = {} if before is not None and before >= at else here
    if known.last_message_at < at:
        updated |= latest
    return known.model_copy(update=updated) if updated else None
