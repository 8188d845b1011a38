"""Queries on messages and conversations, shared by HTTP and GraphQL."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from typing import TypeVar

from libs.common.clock import iso
from libs.common.errors import Problem
from libs.common.handle.context import Context
from libs.common.store.ops import BadCursor
from libs.messaging.channels import Channel
from libs.messaging.permission_copy import permission_of
from libs.messaging.vocabulary import Status
from services.messages.lookup import owner_of
from services.messages.model import Conversation, Message
from services.messages.views import ConversationList, ConversationView, MessageList, conversation_view, message_view

T = TypeVar("T", bound=Message | Conversation)
#: Sorts after every stored time.
LAST = "9"


async def list_messages(
    ctx: Context,
    *,
    contact_id: str | None = None,
    channel: Channel | None = None,
    status: Status | None = None,
    provider_id: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> MessageList:
    """Lists messages, newest first: of a contact, of a channel, or all; or the one with the provider's id
    ``provider_id``. ``status`` filters within a page, so a page can be short or empty and still have a cursor."""
    if provider_id is not None:
        return await _by_provider_id(ctx, [channel] if channel else list(Channel), provider_id)
    if contact_id is not None:
        found, after = await _newest(ctx, Message, "by-contact", [contact_id], cursor, limit)
    else:
        streams = [channel] if channel else list(Channel)
        found, after = await _newest(ctx, Message, "by-channel", streams, cursor, limit)
    items = [
        message_view(message)
        for message in found
        if (status is None or message.status is status) and (channel is None or message.channel is channel)
    ]
    return MessageList(items=items, cursor=after)


async def _by_provider_id(ctx: Context, channels: Sequence[Channel], provider_id: str) -> MessageList:
    owners = await asyncio.gather(*(owner_of(ctx, channel, provider_id) for channel in channels))
    found = await asyncio.gather(*(ctx.get(Message, owner) for owner in owners if owner))
    return MessageList(items=[message_view(message) for message in found if message is not None])


async def list_conversations(
    ctx: Context, *, channel: Channel | None = None, cursor: str | None = None, limit: int = 50
) -> ConversationList:
    """Lists conversations by last message, newest first."""
    streams = [channel] if channel else list(Channel)
    found, after = await _newest(ctx, Conversation, "by-last", streams, cursor, limit)
    views = await asyncio.gather(*(_with_permission(ctx, conversation) for conversation in found))
    return ConversationList(items=list(views), cursor=after)


async def conversation(ctx: Context, contact_id: str, channel: Channel) -> ConversationView:
    """Returns the conversation. Raises Problem 404."""
    found = await ctx.get(Conversation, contact_id, channel)
    if found is None:
        raise Problem(404, "CONVERSATION_NOT_FOUND", "There is no conversation with this contact on this channel")
    return await _with_permission(ctx, found)


async def _with_permission(ctx: Context, found: Conversation) -> ConversationView:
    return conversation_view(found, await permission_of(found.contact_id, found.channel, ctx), ctx.now)


async def _newest(
    ctx: Context, model: type[T], index: str, hashes: Sequence[str], cursor: str | None, limit: int
) -> tuple[list[T], str | None]:
    """Returns one page of several streams merged by time. The cursor is the time of the last item returned and the ids
    returned with that same millisecond."""
    before, shown = _read_cursor(cursor) if cursor else (LAST, [])
    pages = await asyncio.gather(
        *(
            ctx.query(model, key, index=index, between=("0", before), limit=limit + len(shown), newest_first=True)
            for key in hashes
        )
    )
    found = [item for one in pages for item in one.items if _identity(item) not in shown]
    found.sort(key=lambda item: (_at(item), _identity(item)), reverse=True)
    page, more = found[:limit], len(found) > limit or any(one.cursor for one in pages)
    if not page or not more:
        return page, None
    last = _at(page[-1])
    same = [_identity(item) for item in page if _at(item) == last]
    return page, _write_cursor(last, [*same, *(shown if last == before else [])])


def _at(item: Message | Conversation) -> str:
    return iso(item.created_at if isinstance(item, Message) else item.last_message_at)


def _identity(item: Message | Conversation) -> str:
    return "#".join(item.own_key().values())


def _write_cursor(before: str, shown: list[str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([before, shown]).encode()).decode()


def _read_cursor(cursor: str) -> tuple[str, list[str]]:
    try:
        before, shown = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise BadCursor(cursor) from error
    if not isinstance(before, str) or not isinstance(shown, list) or len(cursor) > 20_000:
        raise BadCursor(cursor)
    return before, [str(each) for each in shown]
