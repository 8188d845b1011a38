"""Finds messages by our id and by the provider's id."""

from __future__ import annotations

from libs.common.errors import Problem
from libs.common.handle.context import Context
from libs.messaging.channels import Channel
from services.messages.model import Message, ProviderId, kept_until


async def owner_of(ctx: Context, channel: Channel, provider_id: str | None) -> str | None:
    """Returns our id of the message with this provider id, or None."""
    found = await ctx.get(ProviderId, ProviderId.id_of(channel, provider_id)) if provider_id else None
    return found.message_id if found else None


async def bind(ctx: Context, channel: Channel, provider_id: str, message_id: str) -> None:
    """Writes the row from a provider's id to our message id. Idempotent."""
    binding = ProviderId(
        id=ProviderId.id_of(channel, provider_id), message_id=message_id, expires_at=kept_until(ctx.now)
    )
    await ctx.write(ctx.put(binding))


async def message_by_id(ctx: Context, message_id: str) -> Message:
    """Returns the message. Raises Problem 404."""
    found = await ctx.get(Message, message_id)
    if found is None:
        raise Problem(404, "MESSAGE_NOT_FOUND", "There is no such message", "It may be more than 30 days old.")
    return found
