"""The sweeper: settles what nobody else will. Claims whose worker died, uncertain sends whose window or deadline has
passed, deferred ones whose next attempt was lost on its way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from libs.common.clock import iso
from libs.common.declare.event import Event
from libs.common.declare.service import TickAction
from libs.common.handle.context import Context
from libs.messaging.checks import Refusal
from libs.messaging.errors import ErrorCode
from libs.messaging.policy import policy
from libs.messaging.vocabulary import Status
from services.outbound.ledger import transitions
from services.outbound.ledger.model import OPEN_SHARDS, Delivery, again, changed
from services.outbound.ledger.writes import transition_op

_PAGE = 100


async def reconcile(ctx: Context) -> AsyncIterator[TickAction]:
    """A step for each row that is due."""
    for shard in range(OPEN_SHARDS):
        due = ("0", iso(ctx.now))
        async for row in ctx.query_all(Delivery, str(shard), index="by-open", between=due, limit=_PAGE):
            found = settle(row, ctx.now, ctx.settings.window_scale)
            if found is not None:
                new, events = found
                # A version of a row is left once; the key says which.
                yield TickAction(f"{row.message_id}#{row.version}", (transition_op(row, new, ctx),), events)


def settle(row: Delivery, now: datetime, scale: float) -> tuple[Delivery, tuple[Event, ...]] | None:
    """Where a row that is due goes, and what is said of it; None if it has moved on since it was listed. Pure."""
    if row.due is None or row.due > now:
        return None
    if row.status is Status.CLAIMED:
        lost = transitions.claim_expired(row, now, scale)
        return lost, (changed(lost),)
    if row.status is Status.UNCERTAIN:
        return _uncertain(row, now, scale)
    if row.status is Status.DEFERRED:
        return _overdue(row, now)
    return None


def _uncertain(row: Delivery, now: datetime, scale: float) -> tuple[Delivery, tuple[Event, ...]]:
    """Resend if the class allows it and it is still wanted, else wait for the deadline, else give up."""
    promise = policy(row.message_class, row.channel)
    if row.resends < promise.resends and row.wanted_at(now):
        decided = transitions.resend_decided(row, now)
        return decided, (again(decided, "resend"),)
    deadline = (row.uncertain_since or row.at) + promise.deadline * scale
    if now < deadline:
        return transitions.checked_again_at(row, deadline), ()
    lost = transitions.given_up(row, now)
    return lost, (changed(lost),)


def _overdue(row: Delivery, now: datetime) -> tuple[Delivery, tuple[Event, ...]]:
    """Its next attempt should have been made long ago: either it is over, or what asks for it was lost."""
    if not row.wanted_at(now):
        over = transitions.refused(row, Refusal(ErrorCode.EXPIRED), now)
        return over, (changed(over),)
    # What is brought up before its time is overdue only after it.
    return transitions.checked_again_at(row, max(now, row.not_before or now) + transitions.OVERDUE_AFTER), (
        again(row, "overdue"),
    )
