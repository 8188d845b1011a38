"""What the senders say."""

from __future__ import annotations

from typing import Literal

from libs.common.clock import Timestamp
from libs.common.declare.event import Event
from libs.messaging.channels import Channel
from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import MessageClass, Status


class DeliveryChanged(Event):
    """What became of a send, as recorded in the sender's ledger: ``deferred``, ``claimed`` (only where it is news),
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
    #: Why, in words: the provider's, or the fault that made it uncertain.
    detail: str | None = None
    not_before: Timestamp | None = None
    #: What was decided on the way, in order: consent record, window, waiting for a lease, resend decisions.
    notes: tuple[str, ...] = ()
    dry_run: bool = False
    job_id: str | None = None
    #: What the job gave along, by which it finds the recipient.
    job_ref: str | None = None

    @property
    def facet(self) -> str:
        return f"{self.attempt}.{self.status}"


class ChunkEnded(Event):
    """A sender is through with a chunk of a bulk job for now. ``unsent`` are the positions that it certainly did not begin
    with; what it did begin with is told by :class:`DeliveryChanged`. ``why``: ``done``, ``paused`` or ``cancelled`` (the job
    was), ``turn`` (others want a turn), ``wait`` (not before ``not_before``)."""

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
    #: How long the chunk waited until its first message could go (s).
    lag: float = 0.0

    @property
    def subject(self) -> str:
        return f"{self.job_id}/{self.chunk}"

    @property
    def facet(self) -> str:
        return str(self.release)


class PermissionApplied(Event):
    """A sender has applied a permission that was to be acknowledged (an opt-out)."""

    TYPE = "outbound.permission-applied.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    revision: int
    at: Timestamp


class OptOutFound(Event):
    """The provider refused a send because it keeps the contact on an opt-out list of its own: ``all`` or ``marketing`` (Meta).
    An opt-out that never came by us counts as much as one that did."""

    TYPE = "outbound.opt-out-found.v1"
    ABOUT = "message_id"

    message_id: str
    contact_id: str
    channel: Channel
    scope: Literal["all", "marketing"]
    provider_code: str
    at: Timestamp


class BudgetNoticed(Event):
    """So much of the WhatsApp portfolio's messaging limit (different people outside their window in 24 hours) is used."""

    TYPE = "outbound.budget-noticed.v1"
    ABOUT = "portfolio"

    channel: Channel
    portfolio: str
    #: The step that was reached: 80 or 100.
    percent: int
    used: int
    limit: int
    at: Timestamp

    @property
    def facet(self) -> str:
        return str(self.percent)


class CapReached(Event):
    """A contact has had as much marketing on this channel as the cap allows; the next may go ``until`` then at the earliest."""

    TYPE = "outbound.cap-reached.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    until: Timestamp
    at: Timestamp


class BudgetCounted(Event):
    """How the portfolio's messaging limit stands: ``used`` of ``limit``, and how many more different people outside their window
    bulk may write to now (some are kept for codes and replies)."""

    TYPE = "outbound.budget-counted.v1"
    ABOUT = "portfolio"

    channel: Channel
    portfolio: str
    used: int
    limit: int
    left_for_bulk: int
    at: Timestamp


class SendAgainDecided(Event):
    """A message that was claimed before is to be tried once more, not before ``not_before``; its sender hears this itself
    and claims ``attempt``. ``why`` is ``not_sent`` (the attempt before it certainly did not go out), ``resend`` (its
    outcome stayed uncertain and the class allows a resend: ``resends`` counts them) or ``overdue`` (this was said before
    and nothing came of it)."""

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
