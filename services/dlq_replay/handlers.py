"""What ``dlq-replay`` hears: dead letters to keep, and the facts that a simulation asks for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from libs.common.bus.base import Letter
from libs.common.clock import iso
from libs.common.context import Context
from libs.common.errors import Conflict
from libs.common.event import Event
from libs.common.jsontext import MAX_NAME_CHARACTERS
from libs.common.store.ops import Update, When
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.dlq import LetterDecided, LetterKept
from libs.messaging.events.messages import StandingTold
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.permission import Permission, newest
from libs.messaging.words import RANK
from services.dlq_replay import steps
from services.dlq_replay.model import (
    KEPT,
    Death,
    DLQMessage,
    Watched,
    expiry,
    letter_id,
    moved,
)

#: Types, without their version, of which a letter is no news: whoever dies of the news that something died, or of the answer to
#: it, would be told of that death too, and so on without end.
NO_NEWS = frozenset(each.TYPE.rpartition(".")[0] for each in (LetterKept, StandingTold))


async def keep_letter(letter: Letter, ctx: Context) -> Sequence[Event]:
    """Keep it whole; further deaths of the same event on the same queue are added to the letter that is there."""
    death = steps.death_of(letter, ctx.cause.id if ctx.cause else "", ctx.now)
    known = await _known(letter, ctx)
    if known is None:
        kept = steps.first_death(letter, death, ctx.now)
        if not await ctx.write(ctx.insert(kept)):
            raise Conflict("it came twice at once")
    elif any(each.id == death.id for each in known.deaths):
        kept = known
    else:
        kept = steps.died_again(known, letter, death, ctx.now)
        if not await ctx.write(change(ctx, known, kept)):
            raise Conflict("somebody decided about it just now")
    if kept.message_id:
        watched = Watched(message_id=kept.message_id, expires_at=expiry(ctx.now, KEPT * 2))
        await ctx.write(ctx.insert(watched))
    return _said(kept, death)


async def _known(letter: Letter, ctx: Context) -> DLQMessage | None:
    """The letter that this one is a further death of: named by the replay's mark, or by event and queue."""
    mark = letter.record.attributes.get("letter", "")
    known = await ctx.get(DLQMessage, mark) if 0 < len(mark) <= MAX_NAME_CHARACTERS else None
    if known is not None and (known.queue, known.event_id) == (letter.queue, letter.event_id):
        return known
    return await ctx.get(DLQMessage, letter_id(letter.queue, letter.event_id, letter.record.body))


def _said(kept: DLQMessage, death: Death) -> list[Event]:
    said: list[Event] = []
    if (kept.event_type or "").rpartition(".")[0] not in NO_NEWS:
        said.append(
            LetterKept(
                dlq_message_id=kept.dlq_message_id,
                queue=kept.queue,
                service=kept.service,
                cause=death.cause,
                event_id=kept.event_id,
                event_type=kept.event_type,
                channel=kept.channel,
                message_id=kept.message_id,
                deaths=kept.death_count,
                died_at=death.at,
            )
        )
    if any(each.id == death.id and each.quarantined for each in kept.deaths):
        why = f"it died of {death.decision} replays"
        said.append(decided(kept, "quarantined", "system:dlq-replay", why, death.at))
    return said


def decided(
    letter: DLQMessage, decision: str, by: str, why: str, at: datetime, job_id: str | None = None
) -> LetterDecided:
    """What is said of a decision."""
    return LetterDecided.model_validate(
        {
            "dlq_message_id": letter.dlq_message_id,
            "decision": decision,
            "by": by,
            "why": why,
            "at": at,
            "job_id": job_id,
            "queue": letter.queue,
            "event_type": letter.event_type,
            "message_id": letter.message_id,
        }
    )


def change(ctx: Context, old: DLQMessage, new: DLQMessage) -> Update:
    """Only what differs, over the version that was read."""
    changed, gone, when = moved(old, new)
    return ctx.update(DLQMessage, old.dlq_message_id, set=changed, remove=gone, when=when)


async def keep_permission(event: PermissionChanged, ctx: Context) -> None:
    """The newest revision wins."""
    copy = await ctx.get(Permission, Permission.id_of(event.contact_id, event.channel))
    row = newest(copy, event.standing)
    if row is not None:
        await ctx.save(row, over=copy)


async def watch_delivery(event: DeliveryChanged | StandingTold, ctx: Context) -> None:
    """Only messages that a letter is about are followed; of all others nothing is written."""
    known = await ctx.get(Watched, event.message_id)
    rank = RANK[event.status]
    if known is None or known.rank >= rank:
        return
    news = {"status": event.status.value, "rank": rank, "at": iso(event.at)}
    await ctx.write(ctx.update(Watched, event.message_id, set=news, when=(When("rank", "<", rank),)))
