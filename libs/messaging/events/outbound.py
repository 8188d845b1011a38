"""Events that the senders publish."""

from __future__ import annotations

from typing import Literal

from libs.common.clock import Timestamp
from libs.common.declare.event import Event
from libs.messaging.channels import Channel
from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import MessageClass, Status


class DeliveryChanged(Event):
    """The status of a send, as recorded in the sender's ledger: ``deferred``, ``claimed`` (only if it changed),
    ``sent``, ``failed``, ``suppressed``, ``expired``, ``uncertain`` or ``unknown``."""

    TYPE = "outbound.delivery-changed.v1"
    ABOUT = "message_id"

    message_id: str
    contact_id: str
    channel: Channel
    message_class: MessageClass
    status: Status
    at: Timestamp
    attempt: int = 0
    provider_id: str | None = None
    sender: str | None = None
    error_code: ErrorCode | None = None
    provider_code: str | None = None
    #: The reason as text: the provider's, or the fault that made the outcome uncertain.
    detail: str | None = None
    not_before: Timestamp | None = None
    #: The decisions made during the send, in order: consent record, window, waiting for a lease, resend decisions.
    notes: tuple[str, ...] = ()
    dry_run: bool = False
    job_id: str | None = None
    #: The job's reference of the recipient.
    job_ref: str | None = None

    @property
    def facet(self) -> str:
        return f"{self.attempt}.{self.status}"


class ChunkEnded(Event):
    """A sender has finished with a chunk of a bulk job for now. ``unsent`` are the positions that it certainly did not
    start; :class:`DeliveryChanged` reports the others. ``why``: ``done``, ``paused`` or ``cancelled`` (the job was),
    ``turn`` (yields to other work), ``wait`` (not before ``not_before``)."""

    TYPE = "outbound.chunk-ended.v1"
    ABOUT = "job_id"

    job_id: str
    channel: Channel
    chunk: str
    release: int
    why: Literal["done", "paused", "cancelled", "turn", "wait"]
    unsent: tuple[int, ...] = ()
    not_before: Timestamp | None = None
    at: Timestamp
    #: How long the chunk waited until its first message could be sent (s).
    lag: float = 0.0

    @property
    def subject(self) -> str:
        return f"{self.job_id}/{self.chunk}"

    @property
    def facet(self) -> str:
        return str(self.release)


class PermissionApplied(Event):
    """A sender has applied a permission with ``acknowledge`` (an opt-out)."""

    TYPE = "outbound.permission-applied.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    revision: int
    at: Timestamp


class OptOutFound(Event):
    """The provider refused a send because the contact is on its own opt-out list: ``all`` or ``marketing`` (Meta). It
    counts the same as an opt-out received by the platform."""

    TYPE = "outbound.opt-out-found.v1"
    ABOUT = "message_id"

    message_id: str
    contact_id: str
    channel: Channel
    scope: Literal["all", "marketing"]
    provider_code: str
    at: Timestamp


class BudgetNoticed(Event):
    """Usage of the WhatsApp portfolio's messaging limit (distinct recipients outside their service window in 24 hours)
    reached ``percent``."""

    TYPE = "outbound.budget-noticed.v1"
    ABOUT = "portfolio"

    channel: Channel
    portfolio: str
    #: The threshold reached: 80 or 100.
    percent: int
    used: int
    limit: int
    at: Timestamp

    @property
    def facet(self) -> str:
        return str(self.percent)


class CapReached(Event):
    """A contact has received the maximum of marketing on this channel; the next may be sent at ``until`` at the
    earliest."""

    TYPE = "outbound.cap-reached.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    until: Timestamp
    at: Timestamp


class BudgetCounted(Event):
    """The usage of the portfolio's messaging limit: ``used`` of ``limit``, and how many more distinct recipients
    outside their service window bulk may send to now (some are reserved for OTPs and replies)."""

    TYPE = "outbound.budget-counted.v1"
    ABOUT = "portfolio"

    channel: Channel
    portfolio: str
    used: int
    limit: int
    left_for_bulk: int
    at: Timestamp


class SendAgainDecided(Event):
    """A claimed message is to be sent again, not before ``not_before``; its sender hears this itself and claims
    ``attempt``. ``why`` is ``not_sent`` (the previous attempt was certainly not sent), ``resend`` (the outcome stayed
    uncertain and the class allows a resend: ``resends`` counts them) or ``overdue`` (this event was published before
    without effect)."""

    TYPE = "outbound.send-again-decided.v1"
    ABOUT = "message_id"

    message_id: str
    contact_id: str
    channel: Channel
    message_class: MessageClass
    attempt: int
    not_before: Timestamp
    why: Literal["not_sent", "resend", "overdue"]
    resends: int = 0
    detail: str | None = None

    @property
    def facet(self) -> str:
        return str(self.attempt)
