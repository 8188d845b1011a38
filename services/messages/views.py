"""API views of a message, its delivery timeline, and conversations. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.declare.wire import PageView, View
from libs.messaging.channels import Channel
from libs.messaging.errors import EXPLANATIONS, ErrorCode
from libs.messaging.permission import SERVICE_WINDOW, Permission
from libs.messaging.vocabulary import RANK, Direction, MessageClass, Purpose, Status
from services.messages.model import Conversation, Message, Moment, TemplateUsed


class MessageView(View):
    """A message. Times are those of the first step with that status. ``content`` is missing after deletion, and for
    messages of a job."""

    message_id: str
    contact_id: str
    channel: Channel
    direction: Direction
    message_class: MessageClass | None = None
    purpose: Purpose | None = None
    content: dict[str, Any] | None = None
    #: The template that the content was rendered from; on WhatsApp the content names it too.
    template: TemplateUsed | None = None
    #: The stored files of an inbound message; see ``/api/media``.
    media_refs: list[str] = Field(default=[])
    status: Status
    error_code: ErrorCode | None = None
    provider_code: str | None = None
    error_detail: str | None = None
    provider_ids: list[str]
    sender: str | None = None
    to: str | None = None
    job_id: str | None = None
    created_by: str | None = None
    in_reply_to: str | None = None
    resends: int = 0
    dry_run: bool | None = None
    cancel_asked_at: Timestamp | None = None
    deleted_at: Timestamp | None = None
    created_at: Timestamp
    send_by: Timestamp | None = None
    sent_at: Timestamp | None = None
    delivered_at: Timestamp | None = None
    read_at: Timestamp | None = None
    failed_at: Timestamp | None = None


class MessageList(PageView[MessageView]):
    pass


class TimelineStep(View):
    """One step. ``what`` is a status or a decision; ``says`` explains it in plain words; ``means`` and ``do`` explain
    an error."""

    what: str
    at: Timestamp
    source: str
    says: str
    attempt: int | None = None
    actor: str | None = None
    code: ErrorCode | None = None
    means: str | None = None
    do: str | None = None
    detail: str | None = None
    provider_code: str | None = None
    provider_status: str | None = None
    not_before: Timestamp | None = None
    notes: list[str] = Field(default=[])


class Timeline(View):
    message_id: str
    status: Status
    steps: list[TimelineStep]


class ConversationView(View):
    """A conversation. ``window_open_until``: end of the WhatsApp service window; missing if there is no window or it is
    closed."""

    contact_id: str
    channel: Channel
    name: str | None = None
    last_message_at: Timestamp
    last_message_id: str
    last_direction: Direction
    last_inbound_at: Timestamp | None = None
    unanswered: bool
    window_open_until: Timestamp | None = None


class ConversationList(PageView[ConversationView]):
    pass


def message_view(message: Message) -> MessageView:
    shown = {name: getattr(message, name) for name in MessageView.model_fields if name in Message.model_fields}
    shown["media_refs"] = message.media_refs
    times = {
        f"{status}_at": _first(message, status)
        for status in (Status.SENT, Status.DELIVERED, Status.READ, Status.FAILED)
    }
    cancel_asked_at = _first(message, "cancel-asked")
    return MessageView(**shown, **times, provider_ids=message.provider_ids(), cancel_asked_at=cancel_asked_at)


def _first(message: Message, what: str) -> datetime | None:
    """The earlier of the sender's and the provider's step, whatever the order of arrival."""
    return min((moment.at for moment in message.steps.values() if moment.what == what), default=None)


def timeline(message: Message) -> Timeline:
    """Returns the steps in order. Providers report whole seconds, so within one second the rank of the status
    decides."""
    moments = sorted(message.steps.values(), key=_place)
    return Timeline(message_id=message.message_id, status=message.status, steps=[_step(moment) for moment in moments])


def _place(moment: Moment) -> tuple[datetime, int, datetime]:
    rank = RANK[Status(moment.what)] if moment.what in set(Status) else 100
    return moment.at.replace(microsecond=0), rank, moment.at


def _step(moment: Moment) -> TimelineStep:
    explained = EXPLANATIONS[moment.code] if moment.code else None
    return TimelineStep(
        what=moment.what,
        at=moment.at,
        source=moment.source,
        says=SAYS.get((moment.what, moment.source)) or SAYS.get((moment.what, ""), f"It became {moment.what}."),
        attempt=moment.attempt or None,
        actor=moment.actor,
        code=moment.code,
        means=explained.means if explained else None,
        do=explained.do if explained else None,
        detail=moment.detail,
        provider_code=moment.provider_code,
        provider_status=moment.provider_status,
        not_before=moment.not_before,
        notes=list(moment.notes),
    )


SAYS: dict[tuple[str, str], str] = {
    (Status.QUEUED, ""): "It was accepted and waits to be sent.",
    (Status.DEFERRED, ""): "It was certainly not sent yet and is tried again later.",
    (Status.CLAIMED, ""): "A sender took it and is about to hand it to the provider.",
    (Status.UNCERTAIN, ""): "It may or may not have been sent: the provider's answer never came.",
    (Status.UNKNOWN, ""): "Nobody can say whether it was sent; no report came in time.",
    (Status.UNKNOWN, "auditor"): "Its time to live ended and its sender never said what became of it.",
    (Status.SENT, "sender"): "The provider accepted it.",
    (Status.SENT, "provider"): "The provider sent it on to the recipient.",
    (Status.DELIVERED, ""): "It reached the recipient's device.",
    (Status.READ, ""): "The recipient opened it.",
    (Status.FAILED, "sender"): "The provider refused it.",
    (Status.FAILED, "provider"): "The provider accepted it but could not deliver it.",
    (Status.SUPPRESSED, ""): "It was not sent: the recipient may not be written to.",
    (Status.EXPIRED, ""): "It was not sent: its time to live had ended.",
    (Status.CANCELLED, ""): "It was cancelled before it was sent.",
    (Status.RECEIVED, ""): "The contact wrote it.",
    ("resend", ""): "An operator decided to send it again, though it may have been sent already.",
    ("cancel-asked", ""): "Somebody asked not to send it any more.",
    ("deleted", ""): "Its content was removed.",
    ("note", ""): "The provider reported something that we do not know; its status stays.",
}


def conversation_view(conversation: Conversation, standing: Permission | None, now: datetime) -> ConversationView:
    until = None
    limited = conversation.channel.traits.needs_open_window
    if limited and standing and standing.last_inbound_at and standing.window_open(now):
        until = standing.last_inbound_at + SERVICE_WINDOW
    return ConversationView(
        contact_id=conversation.contact_id,
        channel=conversation.channel,
        name=standing.name if standing else None,
        last_message_at=conversation.last_message_at,
        last_message_id=conversation.last_message_id,
        last_direction=conversation.last_direction,
        last_inbound_at=conversation.last_inbound_at,
        unanswered=conversation.unanswered(),
        window_open_until=until,
    )
