"""Event handlers of ``dlq-replay``: stores dead letters, and keeps the facts that a simulation needs."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.bus.base import DeadLetter
from libs.common.clock import iso
from libs.common.declare.event import Event
from libs.common.errors import Conflict
from libs.common.handle.context import Context
from libs.common.json_text import MAX_NAME_CHARACTERS
from libs.common.store.ops import When
from libs.messaging.events.dlq import LetterKept
from libs.messaging.events.messages import StandingTold
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.vocabulary import RANK
from services.dlq_replay import transitions
from services.dlq_replay.decisions import change, decided
from services.dlq_replay.model import RETENTION, DLQMessage, Failure, Watched, dead_letter_id, expiry

#: Event types, without version, whose dead letters cause no event: an event about the dead letter of such an event
#: could itself be dead-lettered, in an endless loop.
NO_NEWS = frozenset(each.TYPE.rpartition(".")[0] for each in (LetterKept, StandingTold))


async def keep_letter(dead_letter: DeadLetter, ctx: Context) -> Sequence[Event]:
    """Stores the dead letter completely; further failures of the same event on the same queue are added to the existing
    one."""
    failure = transitions.failure_of(dead_letter, ctx.cause.id if ctx.cause else "", ctx.now)
    known = await _known(dead_letter, ctx)
    if known is None:
        kept = transitions.first_failure(dead_letter, failure, ctx.now)
        if not await ctx.write(ctx.insert(kept)):
            raise Conflict("it came twice at once")
    elif any(each.id == failure.id for each in known.deaths):
        kept = known
    else:
        kept = transitions.failed_again(known, dead_letter, failure, ctx.now)
        if not await ctx.write(change(ctx, known, kept)):
            raise Conflict("somebody decided about it just now")
    if kept.message_id:
        watched = Watched(message_id=kept.message_id, expires_at=expiry(ctx.now, RETENTION * 2))
        await ctx.write(ctx.insert(watched))
    return _said(kept, failure)


async def _known(dead_letter: DeadLetter, ctx: Context) -> DLQMessage | None:
    """Returns the stored dead letter that this is a further failure of: identified by the replay's attribute, or by
    event and queue."""
    returned_id = dead_letter.record.attributes.get("letter", "")
    known = await ctx.get(DLQMessage, returned_id) if 0 < len(returned_id) <= MAX_NAME_CHARACTERS else None
    if known is not None and (known.queue, known.event_id) == (dead_letter.queue, dead_letter.event_id):
        return known
    return await ctx.get(DLQMessage, dead_letter_id(dead_letter.queue, dead_letter.event_id, dead_letter.record.body))


def _said(kept: DLQMessage, failure: Failure) -> list[Event]:
    events: list[Event] = []
    if (kept.event_type or "").rpartition(".")[0] not in NO_NEWS:
        events.append(
            LetterKept(
                dlq_message_id=kept.dlq_message_id,
                queue=kept.queue,
                service=kept.service,
                cause=failure.cause,
                event_id=kept.event_id,
                event_type=kept.event_type,
                channel=kept.channel,
                message_id=kept.message_id,
                deaths=kept.death_count,
                died_at=failure.at,
            )
        )
    if any(each.id == failure.id and each.quarantined for each in kept.deaths):
        why = f"it died of {failure.decision} replays"
        events.append(decided(kept, "quarantined", "system:dlq-replay", why, failure.at))
    return events


async def watch_delivery(event: DeliveryChanged | StandingTold, ctx: Context) -> None:
    """Records the status of messages that a dead letter is about; ignores all others without a write."""
    known = await ctx.get(Watched, event.message_id)
    rank = RANK[event.status]
    if known is None or known.rank >= rank:
        return
    updates = {"status": event.status.value, "rank": rank, "at": iso(event.at)}
    await ctx.write(ctx.update(Watched, event.message_id, set=updates, when=(When("rank", "<", rank),)))
