"""Pagers: what the provider publishes about our messages, and what people answer. Pure. A toy: there is no such provider."""

from __future__ import annotations

from libs.common.clock import derived_id
from libs.common.declare.service import Feed
from libs.common.errors import Malformed
from libs.messaging.channels import Channel
from libs.messaging.content import Text
from libs.messaging.events.inbound import MessageReceived, ReceiptReceived
from libs.messaging.vocabulary import Status
from services.inbound.contract import Keyed, Translator
from services.inbound.parsing.fields import iso_moment, needed, optional, parsed
from services.inbound.parsing.members import only, unknown, with_unknown_members

STATUSES = {"queued": Status.SENT, "shown": Status.DELIVERED, "lost": Status.FAILED}
_KNOWN = only("type id from to text reference status at")


def parse(feed: str) -> Keyed:
    """One answer or report -> ``[(key, event)]``. Raises Malformed, naming the field."""
    whole = parsed(feed, "message")
    kind, provider_id = needed(whole, "type", "message"), needed(whole, "id", "message")
    at, details = iso_moment(whole, "at", "message"), with_unknown_members(unknown(whole, _KNOWN))
    if kind == "answer":
        received = MessageReceived(
            message_id=derived_id(Channel.PAGER, provider_id),
            channel=Channel.PAGER,
            provider_message_id=provider_id,
            sender_user_id=needed(whole, "from", "message"),
            to=needed(whole, "to", "message"),
            content=Text(body=needed(whole, "text", "message")),
            received_at=at,
            details=details,
        )
        return [(f"message#{provider_id}", received)]
    if kind != "report":
        raise Malformed("message.type: neither answer nor report")
    status = needed(whole, "status", "message")
    receipt = ReceiptReceived(
        channel=Channel.PAGER,
        provider_id=provider_id,
        message_id=optional(whole, "reference"),
        status=STATUSES.get(status, Status.UNKNOWN),
        provider_status=status,
        at=at,
        details=details,
    )
    return [(f"status#{provider_id}#{status}", receipt)]


translator = Translator(feeds=[Feed("pager", parse)])
