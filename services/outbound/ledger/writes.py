"""Writes the send ledger and returns the events to publish. A transition is written over exactly the row it starts from; a
worker that comes second follows the row as it is."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.declare.event import Event
from libs.common.errors import Conflict, RetryLater
from libs.common.handle.context import Context
from libs.common.store.ops import Update
from libs.messaging.settings import MessagingSettings
from libs.messaging.vocabulary import Status
from services.outbound.ledger import transitions
from services.outbound.ledger.model import Delivery, again, cap_reached, changed, move, opt_out

#: Pause between two tries to record an outcome while the store is down (s).
RECORD_RETRY_SECONDS = 0.2


class Gone(Conflict):
    """The row is no longer there."""


def transition_op(old: Delivery, new: Delivery, ctx: Context) -> Update:
    """The write that takes ``old`` to ``new``."""
    change, gone, when = move(old, new)
    return ctx.update(Delivery, old.message_id, set=change, remove=gone, when=when)


async def write(row: Delivery | None, new: Delivery, ctx: Context) -> Sequence[Event]:
    """Takes ``row`` (None: there is none yet) to ``new`` and returns its events. If the row has changed meanwhile, follows it."""
    stands = await _moved(row, new, ctx)
    return events(new) if stands is None else await follow(stands, ctx)


async def take(row: Delivery | None, claim: Delivery, ctx: Context) -> Sequence[Event] | None:
    """Claims a message. None: claimed; else another worker has it, and these are the events of its row."""
    try:
        stands = await _moved(row, claim, ctx)
    except Exception:
        # The answer may be lost, not the claim: the second try finds its own claim id.
        stands = await _moved(row, claim, ctx)
    if stands is None or stands.claim_id == claim.claim_id:
        return None
    return await follow(stands, ctx)


async def record(claim: Delivery, ended: Delivery, ctx: Context) -> Sequence[Event]:
    """Records how a claim ended. While the claim lasts, a store that is down is retried. After that the error is raised, and
    whoever reads the claim next marks it uncertain, which is true."""
    row: Delivery | None = claim
    new = ended
    while True:
        try:
            stands = await _moved(row, new, ctx)
        except Gone:
            # It was sent, so the row must exist again, or a redelivery would take the message for new.
            row = None
            continue
        except Exception:
            if claim.deadline is None or ctx.now >= claim.deadline:
                raise
            await ctx.clock.sleep(RECORD_RETRY_SECONDS)
            continue
        if stands is None:
            return events(new)
        better = (
            transitions.with_certain_outcome(stands, ended)
            if stands.claim_id == claim.claim_id
            else transitions.with_late_acceptance(stands, ended)
        )
        if better is None:
            return known(stands)
        row, new = stands, better


async def follow(row: Delivery, ctx: Context) -> Sequence[Event]:
    """Handles a message that is already known: its events are published again and nothing else happens. A claim whose worker
    never reported becomes uncertain; it is never resent from here."""
    if row.status is not Status.CLAIMED or row.deadline is None:
        return known(row)
    if ctx.now < row.deadline:
        raise RetryLater(row.deadline, "claimed by another worker")
    lost = transitions.claim_expired(row, ctx.now, ctx.settings.of(MessagingSettings).window_scale)
    if await _moved(row, lost, ctx) is not None:
        raise Conflict("the claim was settled meanwhile")
    return events(lost)


def events(row: Delivery) -> Sequence[Event]:
    """The events of a transition: a deferral leads to one further attempt. A deferral that waits long does not wait in a queue:
    the sweeper publishes its next attempt."""
    if row.status is not Status.DEFERRED or _waits_long(row):
        return known(row)
    return [*known(row), again(row, "not_sent")]


def _waits_long(row: Delivery) -> bool:
    return row.due is not None and row.not_before is not None and row.due < row.not_before


def known(row: Delivery) -> Sequence[Event]:
    """The events of a row that may be published any number of times. A deferral is published only once."""
    if row.status is Status.DEFERRED and row.attempt > 1:
        return []
    return [changed(row), *opt_out(row), *cap_reached(row)]


async def _moved(row: Delivery | None, new: Delivery, ctx: Context) -> Delivery | None:
    """Writes the row. None: written; else the row that is there."""
    written = await ctx.write(ctx.insert(new) if row is None else transition_op(row, new, ctx))
    if written:
        return None
    if written.row is None:
        raise Gone(new.message_id)
    return Delivery.from_row(written.row)
