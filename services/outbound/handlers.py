"""What a sender hears besides messages: permissions to copy, and providers' word on sends that it was not sure of."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.context import Context
from libs.common.errors import Conflict
from libs.common.event import Event
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.messages import CancelAsked, MessageConfirmed
from libs.messaging.events.outbound import PermissionApplied
from libs.messaging.permission import Permission, newest
from libs.messaging.words import Status
from services.outbound import steps
from services.outbound.ledger import known, step, write
from services.outbound.model import Delivery, fresh

#: Rows that a word of the provider still changes: a send that may have gone out, and one that waits to be sent again.
_OPEN = frozenset({Status.CLAIMED, Status.UNCERTAIN, Status.UNKNOWN, Status.DEFERRED})


async def permission_changed(event: PermissionChanged, ctx: Context) -> Sequence[Event]:
    """Keep the newest; acknowledge only what has been written."""
    copy = await ctx.get(Permission, Permission.id_of(event.contact_id, event.channel))
    row = newest(copy, event.standing)
    if row is not None:
        await ctx.save(row, over=copy)
    if not event.acknowledge:
        return ()
    applied = PermissionApplied(
        contact_id=event.contact_id, channel=event.channel, revision=event.standing.revision, at=ctx.now
    )
    return [applied]


async def confirmed(event: MessageConfirmed, ctx: Context) -> Sequence[Event]:
    """The provider knows the message: it is not sent again, whatever was feared or decided. ``messages`` knows already."""
    row = await ctx.get(Delivery, event.message_id)
    if row is None or row.status not in _OPEN:
        return ()
    settled = steps.confirmed(row, event.status, event.provider_id, event.error_code, ctx.now)
    if not await ctx.write(step(row, settled, ctx)):
        raise Conflict("the row moved while it was settled")
    return ()


async def cancel_asked(event: CancelAsked, ctx: Context) -> Sequence[Event]:
    """Not to be sent any more. If it comes before the message itself, the row is there first and the message follows it;
    what is claimed by now, or further, goes its way."""
    row = await ctx.get(Delivery, event.message_id)
    if row is not None and row.status is not Status.DEFERRED:
        return known(row) if row.status is Status.CANCELLED else ()
    return await write(row, steps.cancelled(row or fresh(event, ctx.now), ctx.now), ctx)
