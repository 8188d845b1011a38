"""A sender's events besides messages: permissions to copy, and providers' reports on uncertain sends."""

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
from libs.messaging.permission_copy import permissions
from libs.messaging.vocabulary import Status
from services.outbound.ledger import transitions
from services.outbound.ledger.model import OPEN_SHARDS, Delivery, fresh
from services.outbound.ledger.writes import known, transition_op, write
from services.outbound.settings import OutboundSettings

#: How long a claim may take to appear in the index, and how often it is searched for.
SETTLING = timedelta(seconds=1)
#: States that a provider's report still changes: sends that may have been made, and ones that wait for a retry.
_OPEN = frozenset({Status.CLAIMED, Status.UNCERTAIN, Status.UNKNOWN, Status.DEFERRED})


async def permission_changed(event: PermissionChanged, ctx: Context) -> Sequence[Event]:
    """Keeps the newest revision. Acknowledges it only once it is written and the sends claimed before it have ended: no provider
    accepts a message under the old permission after the acknowledged time."""
    changed = await permissions.keep(event, ctx)
    if not event.acknowledge:
        return ()
    if changed or await _claimed(event.contact_id, ctx):
        raise RetryLater(ctx.now + SETTLING, "sends that were claimed before it are under way")
    applied = PermissionApplied(
        contact_id=event.contact_id, channel=event.channel, revision=event.standing.revision, at=ctx.now
    )
    return [applied]


async def _claimed(contact_id: str, ctx: Context) -> bool:
    """Whether a send to the contact is under way in any process. A claim past its deadline has ended."""
    for shard in range(OPEN_SHARDS):
        open_now = (iso(ctx.now), iso(_last_deadline(ctx)))
        async for row in ctx.query_all(Delivery, str(shard), index="by-open", between=open_now, limit=100):
            if row.contact_id == contact_id and row.status is Status.CLAIMED:
                return True
    return False


def _last_deadline(ctx: Context) -> datetime:
    return ctx.now + timedelta(seconds=ctx.settings.of(OutboundSettings).claim_seconds + 1)


async def confirmed(event: MessageConfirmed, ctx: Context) -> Sequence[Event]:
    """The provider has the message: it is not sent again, whatever was decided. ``messages`` has the status already."""
    row = await ctx.get(Delivery, event.message_id)
    if row is None or row.status not in _OPEN:
        return ()
    settled = transitions.confirmed(row, event.status, event.provider_id, event.error_code, ctx.now)
    if not await ctx.write(transition_op(row, settled, ctx)):
        raise Conflict("the row moved while it was settled")
    return ()


async def cancel_asked(event: CancelAsked, ctx: Context) -> Sequence[Event]:
    """Cancels a message that is not claimed. If the request comes before the message, the row is written first and the message
    follows it. A message that is claimed or further on is not changed."""
    row = await ctx.get(Delivery, event.message_id)
    if row is not None and row.status is not Status.DEFERRED:
        return known(row) if row.status is Status.CANCELLED else ()
    return await write(row, transitions.cancelled(row or fresh(event, ctx.now), ctx.now), ctx)
