"""What ``inbound`` says: providers' feeds and webhooks in our words."""

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
    """Somebody wrote to us. ``message_id`` is ours, derived from the channel and the provider's id."""

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
    #: What a sender would call the identity of ours that it came to, where that is not ``to``: a WhatsApp phone-number id.
    received_by: str | None = None
    content: Content
    received_at: Timestamp
    #: The provider's id of the message it answers.
    in_reply_to: str | None = None
    #: What else the provider told: ``referral`` (the ad or post that it came from), ``group_id``.
    details: dict[str, Any] = Field(default_factory=dict)


class ReceiptReceived(Event):
    """A provider reports on a message of ours: by our own id where the provider echoes it, else by its ids."""

    TYPE = "inbound.receipt-received.v1"
    ABOUT = "provider_id"

    channel: Channel
    provider_id: str
    #: Our id as echoed (``biz_opaque_callback_data``, ``Context``, tags), if it was.
    message_id: str | None = None
    #: Other ids of the same message at the provider (the AWS message id beside Meta's wamid).
    also_known_as: tuple[str, ...] = ()
    #: ``unknown`` for a word that we do not know, kept in ``provider_status``.
    status: Status
    provider_status: str
    at: Timestamp
    error_code: ErrorCode | None = None
    provider_code: str | None = None
    error_detail: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)

    @property
    def linger(self) -> float:
        """Providers tell of each message alone; a bulk job brings thousands."""
        return 0.2


class AccountNoticed(Event):
    """Something about our account, a sender or a template at the provider; unknown kinds are kept raw."""

    TYPE = "inbound.account-noticed.v1"
    ABOUT = "channel"

    channel: Channel
    #: ``template_status``, ``template_category``, ``quality``, ``account_update``, ``error``, ``unknown``.
    kind: str
    account: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class PreferenceChanged(Event):
    """A contact changed what they want at the provider itself (WhatsApp's stop for marketing, an opt-out list)."""

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
    """Something about a conversation that is no message: the contact is typing, or it began to be billed as one."""

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
    """Nothing more may be sent to an address: mail to it bounced for good, or its owner complained about us."""

    TYPE = "inbound.address-suppressed.v1"
    ABOUT = "address"

    channel: Channel
    address: str
    reason: Literal["hard_bounce", "complaint", "provider_list", "invalid_number"]
    at: Timestamp
    #: The message that showed it: our id where it was echoed, and the provider's.
    message_id: str | None = None
    provider_id: str | None = None
    #: The provider's own words for it.
    detail: str | None = None


class Unsubscribed(Event):
    """Somebody used the unsubscribe link of one of our messages."""

    TYPE = "inbound.unsubscribed.v1"
    ABOUT = "contact_id"

    contact_id: str
    channel: Channel
    message_id: str
    at: Timestamp


class EmailStored(Event):
    """An e-mail to us lies in our bucket, to be read from there. ``notification`` is what SES told of it."""

    TYPE = "inbound.email-stored.v1"
    ABOUT = "email_id"

    #: SES's own id of it.
    email_id: str
    bucket: str
    key: str
    notification: dict[str, Any] = Field(default_factory=dict)
