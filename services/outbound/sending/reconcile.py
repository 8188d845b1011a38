"""The sweeper of the send ledger: claims whose worker was killed, uncertain sends whose window or deadline has passed, and
deferred sends whose next attempt was lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from libs.common.clock import iso
from libs.common.declare.event import Event
from libs.common.declare.service import TickAction
from libs.common.handle.context import Context
from libs.messaging.checks import Refusal
from libs.messaging.errors import ErrorCode
from libs.messaging.settings import MessagingSettings
from libs.messaging.vocabulary import Status
from services.outbound.ledger import transitions
from services.outbound.ledger.model import OPEN_SHARDS, Delivery, again, changed
from services.outbound.ledger.writes import transition_op

_PAGE = 100


async def reconcile(ctx: Context) -> AsyncIterator[TickAction]:
    """One action for each row that is due."""
    for shard in range(OPEN_SHARDS):
        due = ("0", iso(ctx.now))
        async for row in ctx.query_all(Delivery, str(shard), index="by-open", between=due, limit=_PAGE):
            found = settle(row, ctx.now, ctx.settings.of(MessagingSettings).window_scale)
            if found is not None:
                new, events = found
                # The key holds the version: each version of a row has at most one successor.
                yield TickAction(f"{row.message_id}#{row.version}", (transition_op(row, new, ctx),), events)


def settle(row: Delivery, now: datetime, scale: float) -> tuple[Delivery, tuple[Event, ...]] | None:
    """The next state of a row that is due, and its events; None if it has changed since it was listed. Pure."""
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
    """Resent if the class allows it and it has not expired; else left until the deadline; then given up."""
    promise = row.channel.traits.policies[row.message_class]
    if row.resends < promise.resends and row.wanted_at(now):
        decided = transitions.resend_decided(row, now)
        return decided, (again(decided, "resend"),)
    deadline = (row.uncertain_since or row.at) + promise.deadline * scale
    if now < deadline:
        return transitions.checked_again_at(row, deadline), ()
    lost = transitions.given_up(row, now)
    return lost, (changed(lost),)


def _overdue(row: Delivery, now: datetime) -> tuple[Delivery, tuple[Event, ...]]:
    """Its next attempt is overdue: either the message has expired, or the event was lost."""
    if not row.wanted_at(now):
        over = transitions.refused(row, Refusal(ErrorCode.EXPIRED), now)
        return over, (changed(over),)
    # A row that is taken up before its time is overdue only after it.
    return transitions.checked_again_at(row, max(now, row.not_before or now) + transitions.OVERDUE_AFTER), (
        again(row, "overdue"),
    )
