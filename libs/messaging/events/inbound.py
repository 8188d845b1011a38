"""Events that ``inbound`` publishes: providers' feeds and webhooks, normalised."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.declare.event import Event
from libs.messaging.channels import Channel
from libs.messaging.content import Content
from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import Status


class MessageReceived(Event):
    """An inbound message. ``message_id`` is the platform's, derived from the channel and the provider's id."""

    TYPE = "inbound.message-received.v1"
    ABOUT = "message_id"

    message_id: str
    channel: Channel
    provider_message_id: str
    #: E.164, e-mail address, or None when the provider gives only its own user id.
    sender: str | None = None
    #: The provider's own id of the user (Meta's business-scoped id), when it gives one.
    sender_user_id: str | None = None
    sender_name: str | None = None
    to: str
    #: The sender identity that it was addressed to, if it differs from ``to``: a WhatsApp phone-number id.
    received_by: str | None = None
    content: Content
    received_at: Timestamp
    #: The provider's id of the message it replies to.
    in_reply_to: str | None = None
    #: Other data from the provider: ``referral`` (the ad or post that it came from), ``group_id``.
    details: dict[str, Any] = Field(default_factory=dict)


class ReceiptReceived(Event):
    """A provider's report on an outbound message: by the platform's id if the provider echoes it, else by its own
    ids."""

    TYPE = "inbound.receipt-received.v1"
    ABOUT = "provider_id"

    channel: Channel
    provider_id: str
    #: The platform's id if the provider echoed it (``biz_opaque_callback_data``, ``Context``, tags).
    message_id: str | None = None
    #: Other ids of the same message at the provider (the AWS message id beside Meta's wamid).
    also_known_as: tuple[str, ...] = ()
    #: ``unknown`` for an unknown provider status, which is kept in ``provider_status``.
    status: Status
    provider_status: str
    at: Timestamp
    error_code: ErrorCode | None = None
    provider_code: str | None = None
    error_detail: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)

    @property
    def linger(self) -> float:
        """Providers report each message separately; a bulk job causes thousands of reports."""
        return 0.2


class AccountNoticed(Event):
    """A notice about the account, a sender or a template at the provider; unknown kinds are kept unchanged."""

    TYPE = "inbound.account-noticed.v1"
    ABOUT = "channel"

    channel: Channel
    #: ``template_status``, ``template_category``, ``quality``, ``account_update``, ``error``, ``unknown``.
    kind: str
    account: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class PreferenceChanged(Event):
    """A contact changed a preference at the provider itself (WhatsApp's stop for marketing, an opt-out list)."""

    TYPE = "inbound.preference-changed.v1"
    ABOUT = "address"

    channel: Channel
    address: str
    #: ``marketing`` or ``all``.
    scope: str
    wanted: bool
    at: Timestamp
    details: dict[str, Any] = Field(default_factory=dict)


class ConversationNoticed(Event):
    """A notice about a conversation that is not a message: the contact is typing, or billing of the conversation
    began."""

    TYPE = "inbound.conversation-noticed.v1"
    ABOUT = "sender"

    channel: Channel
    #: ``typing``, ``conversation_started``.
    kind: str
    sender: str
    to: str
    at: Timestamp
    details: dict[str, Any] = Field(default_factory=dict)


class AddressSuppressed(Event):
    """An address was suppressed: mail to it bounced permanently, or its owner complained."""

    TYPE = "inbound.address-suppressed.v1"
    ABOUT = "address"

    channel: Channel
    address: str
    reason: Literal["hard_bounce", "complaint", "provider_list", "invalid_number"]
    at: Timestamp
    #: The message that caused it: the platform's id if it was echoed, and the provider's.
    message_id: str | None = None
    provider_id: str | None = None
    #: The provider's own text.
    detail: str | None = None


class Unsubscribed(Event):
    """A recipient used the unsubscribe link of a message."""

    TYPE = "inbound.unsubscribed.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    message_id: str
    at: Timestamp


class EmailStored(Event):
    """An inbound e-mail was stored in the platform's bucket. ``notification`` is SES's notification of it."""

    TYPE = "inbound.email-stored.v1"
    ABOUT = "email_id"

    #: SES's id of the e-mail.
    email_id: str
    bucket: str
    key: str
    notification: dict[str, Any] = Field(default_factory=dict)
