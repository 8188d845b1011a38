"""The send ledger: one row per message, from its first claim to its end, and the events published about it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar, Literal

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.store.item import Index, Item, Row, Table
from libs.common.store.ops import When
from libs.messaging.channels import Channel
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import CancelAsked, MessageQueued
from libs.messaging.events.outbound import CapReached, DeliveryChanged, OptOutFound, SendAgainDecided
from libs.messaging.vocabulary import MessageClass, Status

#: Longer than anything can still be redelivered or replayed (SQS 14 d, dead letters 7 d), so that a late one finds the row.
LEDGER_DAYS = 30
#: Open rows are spread over this many index keys, so that none exceeds DynamoDB's 1,000 writes a second.
OPEN_SHARDS = 8


class Delivery(Item):
    """One message at its sender. ``open`` (a shard) and ``due`` are set while the sweeper must check it again."""

    TABLE: ClassVar[Table] = Table(
        "delivery", key="messageId", indexes=(Index("by-open", hash="open", sort="due"),), ttl="expiresAt"
    )

    message_id: str
    contact_id: str
    channel: Channel
    message_class: MessageClass
    status: Status
    at: Timestamp
    #: The event that queued it, kept only while another attempt may be made from it.
    queued: MessageQueued | None = None
    owner: str | None = None
    claim_id: str | None = None
    attempt: int = 0
    deadline: Timestamp | None = None
    sender: str | None = None
    provider_id: str | None = None
    error_code: ErrorCode | None = None
    provider_code: str | None = None
    detail: str | None = None
    uncertain_since: Timestamp | None = None
    not_before: Timestamp | None = None
    #: Set if this message took the contact's last slot under the marketing cap: until when the cap is reached.
    full_until: Timestamp | None = None
    #: Resends of an uncertain send that the class's policy decided, and the newest one that an operator ordered.
    resends: int = 0
    ordered: int = 0
    notes: tuple[str, ...] = ()
    dry_run: bool = False
    job_id: str | None = None
    job_ref: str | None = None
    open: str | None = None
    due: Timestamp | None = None
    expires_at: int = Field(default=0)

    def wanted_at(self, moment: datetime) -> bool:
        """Whether the message's time to live lasts until then."""
        return self.queued is not None and moment < self.queued.expires_at


def fresh(about: MessageQueued | CancelAsked, now: datetime) -> Delivery:
    """The row of a message that was not seen before; it is written only with its first transition."""
    return Delivery(
        message_id=about.message_id,
        contact_id=about.contact_id,
        channel=about.channel,
        message_class=about.message_class,
        status=Status.QUEUED,
        at=now,
        queued=about if isinstance(about, MessageQueued) else None,
        job_id=about.job_id if isinstance(about, MessageQueued) else None,
        job_ref=about.job_ref if isinstance(about, MessageQueued) else None,
        expires_at=int((now + timedelta(days=LEDGER_DAYS)).timestamp()),
    )


def move(old: Delivery, new: Delivery) -> tuple[Row, tuple[str, ...], tuple[When, ...]]:
    """The members to set, the members to remove and the condition for writing ``new`` over exactly the ``old`` that was read."""
    before, after = old.to_row(), new.to_row()
    differs = {name: value for name, value in after.items() if before.get(name) != value}
    gone = tuple(sorted(before.keys() - after.keys()))
    return differs, gone, (When("version", "=", old.version),)


def changed(row: Delivery) -> DeliveryChanged:
    """The event that describes a row; the same row always gives the same event."""
    return DeliveryChanged(
        message_id=row.message_id,
        contact_id=row.contact_id,
        channel=row.channel,
        message_class=row.message_class,
        status=row.status,
        at=row.at,
        attempt=row.attempt,
        provider_id=row.provider_id,
        sender=row.sender,
        error_code=row.error_code,
        provider_code=row.provider_code,
        detail=row.detail,
        not_before=row.not_before,
        notes=row.notes,
        dry_run=row.dry_run,
        job_id=row.job_id,
        job_ref=row.job_ref,
    )


def opt_out(row: Delivery) -> list[OptOutFound]:
    """Published if the provider refused it because of an opt-out (our own refusal is not failed, but suppressed)."""
    if row.status is not Status.FAILED or row.error_code is not ErrorCode.OPTED_OUT or row.provider_code is None:
        return []
    return [
        OptOutFound(
            message_id=row.message_id,
            contact_id=row.contact_id,
            channel=row.channel,
            scope=row.channel.traits.provider_opt_out,
            provider_code=row.provider_code,
            at=row.at,
        )
    ]


def cap_reached(row: Delivery) -> list[CapReached]:
    """Published if the contact's marketing cap is reached with it, whatever its outcome: its slot is kept."""
    if row.full_until is None:
        return []
    return [CapReached(contact_id=row.contact_id, channel=row.channel, until=row.full_until, at=row.at)]


def again(row: Delivery, why: Literal["not_sent", "resend", "overdue"]) -> SendAgainDecided:
    """The event that makes the next attempt of a deferred row."""
    return SendAgainDecided(
        message_id=row.message_id,
        contact_id=row.contact_id,
        channel=row.channel,
        message_class=row.message_class,
        attempt=row.attempt + 1,
        not_before=row.not_before or row.at,
        why=why,
        resends=row.resends,
        detail=row.detail,
    )
