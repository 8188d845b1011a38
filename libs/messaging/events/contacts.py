"""Events that ``contacts`` publishes."""

from __future__ import annotations

from libs.common.clock import Timestamp
from libs.common.declare.event import Event
from libs.messaging.channels import Channel
from libs.messaging.content import Content
from libs.messaging.permission import Permission


class ContactCreated(Event):
    TYPE = "contacts.created.v1"
    ABOUT = "contact_id"

    contact_id: str
    revision: int
    name: str | None = None
    phone: str | None = None
    email: str | None = None


class ContactUpdated(Event):
    TYPE = "contacts.updated.v1"
    ABOUT = "contact_id"

    contact_id: str
    revision: int
    name: str | None = None
    phone: str | None = None
    email: str | None = None


class ContactDeleted(Event):
    TYPE = "contacts.deleted.v1"
    ABOUT = "contact_id"

    contact_id: str
    revision: int


class ConsentChanged(Event):
    """A consent was given or withdrawn; ``contacts`` keeps the evidence under ``evidence_id``."""

    TYPE = "contacts.consent-changed.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    opted_in: bool
    at: Timestamp
    #: ``api``, ``keyword``, ``provider``, ``import`` …
    how: str
    evidence_id: str


class PermissionChanged(Event):
    """The complete permission of a contact on a channel, for senders; replaces the previous one.

    With ``acknowledge`` the channel's sender publishes :class:`PermissionApplied` once it has applied it.
    """

    TYPE = "contacts.permission-changed.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    standing: Permission
    acknowledge: bool = False


class ContactWroteIn(Event):
    """An inbound message and the contact who sent it."""

    TYPE = "contacts.wrote-in.v1"
    ABOUT = "contact_id"

    contact_id: str
    message_id: str
    channel: Channel
    provider_message_id: str
    #: The platform's address that it was sent to, and the sender identity of that address if it differs.
    to: str
    received_by: str | None = None
    content: Content
    received_at: Timestamp
    in_reply_to: str | None = None


class OptOutEffective(Event):
    """An opt-out is in effect: no further send to the contact is accepted on this channel. Sends already claimed are
    not affected."""

    TYPE = "contacts.opt-out-effective.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    evidence_id: str
    at: Timestamp
    #: How the contact opted out, as in :class:`ConsentChanged`: only a ``keyword`` is a message that gets a reply.
    how: str | None = None
    #: The message with the opt-out, if there was one.
    message_id: str | None = None


class OptedBackIn(Event):
    """A contact who had opted out sent an opt-in keyword (START) in ``message_id``, which cancelled the opt-out."""

    TYPE = "contacts.opted-back-in.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    message_id: str
    at: Timestamp

    @property
    def facet(self) -> str:
        return self.message_id


class HelpAsked(Event):
    """A contact sent a message that is only a help keyword (HELP, INFO)."""

    TYPE = "contacts.help-asked.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    message_id: str
    at: Timestamp

    @property
    def facet(self) -> str:
        return self.message_id


class SuppressionLifted(Event):
    """An administrator lifted the suppression of ``address``, with a reason."""

    TYPE = "contacts.suppression-lifted.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    address: str | None = None
    #: Why it was suppressed, and why it no longer is.
    was: str
    reason: str
    at: Timestamp
