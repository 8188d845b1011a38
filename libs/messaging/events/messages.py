"""Events that ``messages`` publishes."""

from __future__ import annotations

from libs.common.clock import Timestamp
from libs.common.declare.event import Event
from libs.messaging.channels import Channel
from libs.messaging.content import Content
from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import Direction, MessageClass, Purpose, Status


class MessageQueued(Event):
    """A message was accepted for sending. The channel's sender handles it."""

    TYPE = "messages.queued.v1"
    ABOUT = "message_id"

    message_id: str
    contact_id: str
    channel: Channel
    message_class: MessageClass
    purpose: Purpose = Purpose.SERVICE
    #: The sending identity (a WhatsApp phone-number id, a number, an address); None: the channel's default.
    sender: str | None = None
    content: Content
    queued_at: Timestamp
    expires_at: Timestamp
    #: The revision of the permission it was accepted on: a sender whose copy has this revision or a newer one need not
    #: wait.
    revision: int | None = None
    #: The provider's id of the message it replies to, if any.
    in_reply_to: str | None = None
    #: An operator's decision to resend an uncertain or unknown message: the number of the decision (1, 2 …).
    resend: int = 0
    #: The bulk job it belongs to, and the job's reference of the recipient: the part before its first dot is the same
    #: for all recipients of a chunk.
    job_id: str | None = None
    job_ref: str | None = None


class MessageChanged(Event):
    """A message was created or its status rose; for live views, bulk counts, insights and customers' webhooks."""

    TYPE = "messages.changed.v1"
    ABOUT = "message_id"

    message_id: str
    contact_id: str
    channel: Channel
    message_class: MessageClass | None = None
    direction: Direction
    status: Status
    at: Timestamp
    error_code: ErrorCode | None = None
    job_id: str | None = None
    job_ref: str | None = None
    #: The source of the report: ``sender``, ``provider``, ``request``, ``customer`` or ``auditor``. A message reported
    #: by a provider has been accepted by it.
    source: str | None = None

    @property
    def linger(self) -> float:
        """A job causes thousands of these events, which are counted rather than displayed."""
        return 0.2 if self.job_id else 0.03


class MessageConfirmed(Event):
    """The outcome of an uncertain message became known: the provider reported that it was accepted or that it
    failed."""

    TYPE = "messages.confirmed.v1"
    ABOUT = "message_id"

    message_id: str
    channel: Channel
    status: Status
    provider_id: str | None = None
    at: Timestamp
    error_code: ErrorCode | None = None


class CancelAsked(Event):
    """Requests the cancellation of a message. Only its sender knows whether that is still possible: it reports
    ``cancelled`` if it had not claimed the message, and publishes nothing otherwise."""

    TYPE = "messages.cancel-asked.v1"
    ABOUT = "message_id"

    message_id: str
    contact_id: str
    channel: Channel
    message_class: MessageClass
    at: Timestamp


class MessageDeleted(Event):
    """The content of a message was permanently deleted; its record and its status remain."""

    TYPE = "messages.deleted.v1"
    ABOUT = "message_id"

    message_id: str
    contact_id: str
    channel: Channel
    at: Timestamp


class StandingTold(Event):
    """The status of a message when an event about it was found among the dead letters."""

    TYPE = "messages.standing-told.v1"
    ABOUT = "message_id"

    message_id: str
    channel: Channel
    status: Status
    #: When the status was read.
    at: Timestamp

    @property
    def facet(self) -> str:
        return self.status
