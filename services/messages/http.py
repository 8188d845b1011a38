"""HTTP routes of ``messages``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from libs.common.aws.auth import Role
from libs.common.handle.context import Context, Done
from libs.common.hosts.http.routes import Api, Cursor, Limit
from libs.messaging.channels import Channel
from libs.messaging.vocabulary import Status
from services.messages import decisions, queries, requests
from services.messages.lookup import message_by_id
from services.messages.requests import SendMessage
from services.messages.views import (
    ConversationList,
    ConversationView,
    MessageList,
    MessageView,
    Timeline,
    message_view,
    timeline,
)

router = Api()


@router.read("GET", "/api/messages", role=Role.VIEWER)
async def list_messages(
    ctx: Context,
    contact_id: Annotated[str | None, Query(alias="contactId", min_length=1, max_length=100)] = None,
    channel: Channel | None = None,
    status: Status | None = None,
    provider_id: Annotated[str | None, Query(alias="providerId", min_length=1, max_length=1000)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> MessageList:
    """Lists messages, newest first: of a contact, of a channel, or all."""
    return await queries.list_messages(
        ctx, contact_id=contact_id, channel=channel, status=status, provider_id=provider_id, cursor=cursor, limit=limit
    )


@router.write("POST", "/api/messages", role=Role.OPERATOR, status=202, about="message_id")
async def send_message(body: SendMessage, ctx: Context) -> Done[MessageView]:
    """Accepts a message for sending."""
    return await requests.send_message(body, ctx)


@router.read("GET", "/api/messages/{message_id}", role=Role.VIEWER)
async def read_message(message_id: str, ctx: Context) -> MessageView:
    """Returns one message and its status."""
    return message_view(await message_by_id(ctx, message_id))


@router.read("GET", "/api/messages/{message_id}/timeline", role=Role.VIEWER)
async def read_timeline(message_id: str, ctx: Context) -> Timeline:
    """Returns the delivery timeline of a message, in order, with explanations."""
    return timeline(await message_by_id(ctx, message_id))


@router.write("DELETE", "/api/messages/{message_id}", role=Role.ADMIN, status=204)
async def delete_message(message_id: str, ctx: Context) -> Done[None]:
    """Removes the content of a message."""
    return await decisions.delete_message(ctx, message_id)


@router.write("POST", "/api/messages/{message_id}/resend", role=Role.OPERATOR, status=202)
async def resend_message(message_id: str, ctx: Context) -> Done[MessageView]:
    """Sends a message with an uncertain outcome again."""
    return await decisions.resend_message(ctx, message_id)


@router.write("POST", "/api/messages/{message_id}/cancel", role=Role.OPERATOR, status=202)
async def cancel_message(message_id: str, ctx: Context) -> Done[MessageView]:
    """Requests that a waiting message is not sent."""
    return await decisions.cancel_message(ctx, message_id)


@router.read("GET", "/api/conversations", role=Role.VIEWER)
async def list_conversations(
    ctx: Context, channel: Channel | None = None, cursor: Cursor = None, limit: Limit = 50
) -> ConversationList:
    """Lists conversations by their last message, newest first."""
    return await queries.list_conversations(ctx, channel=channel, cursor=cursor, limit=limit)


@router.read("GET", "/api/conversations/{contact_id}/{channel}", role=Role.VIEWER)
async def read_conversation(contact_id: str, channel: Channel, ctx: Context) -> ConversationView:
    """Returns one conversation, and the end of its WhatsApp service window."""
    return await queries.conversation(ctx, contact_id, channel)
