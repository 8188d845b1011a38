"""What ``messages`` says."""

from __future__ import annotations

from libs.common.clock import Timestamp
from libs.common.declare.event import Event
from libs.messaging.channels import Channel
from libs.messaging.content import Content
from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import Direction, MessageClass, Purpose, Status


class MessageQueued(Event):
    """A message was accepted and wants to be sent. The channel's sender takes it from here."""

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
    #: The revision of the permission it was accepted on: whoever knows that one or a newer one need not wait for news.
    revision: int | None = None
    #: The provider's id of the message it answers, if it is an answer.
    in_reply_to: str | None = None
    #: An operator's decision to resend an uncertain or unknown message: the number of that decision (1, 2 …).
    resend: int = 0
    #: The bulk job it belongs to, and what the job gave along: before its first dot, what those that travel together share.
    job_id: str | None = None
    job_ref: str | None = None


class MessageChanged(Event):
    """A message came to be or moved up in status; for live views, bulk counts, insights and customers' webhooks."""

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
    #: Who told: ``sender``, ``provider``, ``request``, ``customer`` or ``auditor``. What a provider tells of, it has accepted.
    source: str | None = None

    @property
    def linger(self) -> float:
        """A job's come by the thousand, and are counted rather than looked at."""
        return 0.2 if self.job_id else 0.03


class MessageConfirmed(Event):
    """A message whose sender was not sure is known to have been accepted (or to have failed): the provider said so."""

    TYPE = "messages.confirmed.v1"
    ABOUT = "message_id"

    message_id: str
    channel: Channel
    status: Status
    provider_id: str | None = None
    at: Timestamp
    error_code: ErrorCode | None = None


class CancelAsked(Event):
    """Somebody wants a message not to be sent any more. Only its sender can know whether that is still possible: it says
    ``cancelled`` if it had not claimed it, and nothing otherwise."""

    TYPE = "messages.cancel-asked.v1"
    ABOUT = "message_id"

    message_id: str
    contact_id: str
    channel: Channel
    message_class: MessageClass
    at: Timestamp


class MessageDeleted(Event):
    """The content of a message was removed for good; that there was one, and what became of it, stays."""

    TYPE = "messages.deleted.v1"
    ABOUT = "message_id"

    message_id: str
    contact_id: str
    channel: Channel
    at: Timestamp


class StandingTold(Event):
    """Where a message stood when an event about it was found among the dead letters."""

    TYPE = "messages.standing-told.v1"
    ABOUT = "message_id"

    message_id: str
    channel: Channel
    status: Status
    #: When it was told.
    at: Timestamp

    @property
    def facet(self) -> str:
        return self.status
