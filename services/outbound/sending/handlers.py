"""What a sender hears besides messages: permissions to copy, and providers' word on sends that it was not sure of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from libs.common.clock import iso
from libs.common.declare.event import Event
from libs.common.errors import Conflict, RetryLater
from libs.common.handle.context import Context
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.messages import CancelAsked, MessageConfirmed
from libs.messaging.events.outbound import PermissionApplied
from libs.messaging.permission import PermissionCopy, newest
from libs.messaging.vocabulary import Status
from services.outbound.ledger import transitions
from services.outbound.ledger.model import OPEN_SHARDS, Delivery, fresh
from services.outbound.ledger.writes import known, transition_op, write

#: How long a claim may take to show in the index, and how often it is looked for again.
SETTLING = timedelta(seconds=1)
#: Rows that a word of the provider still changes: a send that may have gone out, and one that waits to be sent again.
_OPEN = frozenset({Status.CLAIMED, Status.UNCERTAIN, Status.UNKNOWN, Status.DEFERRED})


async def permission_changed(event: PermissionChanged, ctx: Context) -> Sequence[Event]:
    """Keep the newest; acknowledge only what has been written, and only once what was claimed before it is through: the time in
    the acknowledgement is one after which no provider accepts what the old permission allowed."""
    copy = await ctx.get(PermissionCopy, PermissionCopy.id_of(event.contact_id, event.channel))
    row = newest(copy, event.standing)
    if row is not None:
        await ctx.save(row, over=copy)
    if not event.acknowledge:
        return ()
    if row is not None or await _claimed(event.contact_id, ctx):
        raise RetryLater(ctx.now + SETTLING, "what was claimed before is under way")
    applied = PermissionApplied(
        contact_id=event.contact_id, channel=event.channel, revision=event.standing.revision, at=ctx.now
    )
    return [applied]


async def _claimed(contact_id: str, ctx: Context) -> bool:
    """Whether a send to the contact is under way, in whatever process. A claim past its deadline is over."""
    for shard in range(OPEN_SHARDS):
        open_now = (iso(ctx.now), iso(_last_deadline(ctx)))
        async for row in ctx.query_all(Delivery, str(shard), index="by-open", between=open_now, limit=100):
            if row.contact_id == contact_id and row.status is Status.CLAIMED:
                return True
    return False


def _last_deadline(ctx: Context) -> datetime:
    return ctx.now + timedelta(seconds=ctx.settings.claim_seconds + 1)


async def confirmed(event: MessageConfirmed, ctx: Context) -> Sequence[Event]:
    """The provider knows the message: it is not sent again, whatever was feared or decided. ``messages`` knows already."""
    row = await ctx.get(Delivery, event.message_id)
    if row is None or row.status not in _OPEN:
        return ()
    settled = transitions.confirmed(row, event.status, event.provider_id, event.error_code, ctx.now)
    if not await ctx.write(transition_op(row, settled, ctx)):
        raise Conflict("the row moved while it was settled")
    return ()


async def cancel_asked(event: CancelAsked, ctx: Context) -> Sequence[Event]:
    """Not to be sent any more. If it comes before the message itself, the row is there first and the message follows it;
    what is claimed by now, or further, goes its way."""
    row = await ctx.get(Delivery, event.message_id)
    if row is not None and row.status is not Status.DEFERRED:
        return known(row) if row.status is Status.CANCELLED else ()
    return await write(row, transitions.cancelled(row or fresh(event, ctx.now), ctx.now), ctx)
