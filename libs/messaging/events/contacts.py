"""What ``contacts`` says."""

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
    """A consent was given or withdrawn; the evidence is kept by ``contacts`` under ``evidence_id``."""

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
    """All that a sender must know of the contact on this channel, as it stands; replaces what was said before.

    ``acknowledge`` asks the channel's sender to say :class:`PermissionApplied` once it has applied it."""

    TYPE = "contacts.permission-changed.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    standing: Permission
    acknowledge: bool = False


class ContactWroteIn(Event):
    """An inbound message, with the contact it is from."""

    TYPE = "contacts.wrote-in.v1"
    ABOUT = "contact_id"

    contact_id: str
    message_id: str
    channel: Channel
    provider_message_id: str
    #: The address of ours that it was written to, and what a sender would call it, where that is something else.
    to: str
    received_by: str | None = None
    content: Content
    received_at: Timestamp
    in_reply_to: str | None = None


class OptOutEffective(Event):
    """From now on no send to the contact is accepted on this channel, but what was already claimed."""

    TYPE = "contacts.opt-out-effective.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    evidence_id: str
    at: Timestamp
    #: How they opted out, as in :class:`ConsentChanged`: only a ``keyword`` is a message that wants an answer.
    how: str | None = None
    #: The message in which they said so, if they did in one.
    message_id: str | None = None


class OptedBackIn(Event):
    """Somebody who had opted out wrote START (or the like) in ``message_id``, and that lifted it."""

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
    """Somebody wrote HELP or INFO and nothing else."""

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
    """An administrator says, with a reason, that the contact may be written to again at ``address``."""

    TYPE = "contacts.suppression-lifted.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    address: str | None = None
    #: Why it was suppressed, and why it no longer is.
    was: str
    reason: str
    at: Timestamp
