"""Simulates a replay of a dead letter, from the facts this service has. It changes nothing. The consumer's own state is
not read (it belongs to another service); where the result depends on it, the result indicates that."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections import Counter
from enum import StrEnum
from typing import Protocol

from libs.common.declare.event import Envelope, Event
from libs.common.declare.wire import View
from libs.common.errors import Malformed, UnknownVersion
from libs.common.handle.context import Context
from libs.common.handle.outbox import OUTBOX_MARK
from libs.messaging import events, template_copy
from libs.messaging.checks import Refusal, SendFacts, refusal
from libs.messaging.errors import ErrorCode
from libs.messaging.events.bulk import Addressee, ChunkReleased
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.messages import MessageQueued
from libs.messaging.events.outbound import SendAgainDecided
from libs.messaging.permission_copy import permission_of
from libs.messaging.personalization import personal
from libs.messaging.rendering import Unfit
from libs.messaging.templates import purpose_of
from libs.messaging.vocabulary import RANK, Status
from services.dlq_replay import transitions
from services.dlq_replay.model import DLQMessage, State, Watched

# Imports every event module, whichever services share the process.
for _module in pkgutil.iter_modules(events.__path__):
    importlib.import_module(f"{events.__name__}.{_module.name}")


class Outcome(StrEnum):
    """The predicted outcome. ``refused``: it would be handled, and the message would end unsent for the reason
    ``code``."""

    READY = "ready"
    ALREADY_APPLIED = "already_applied"
    REFUSED = "refused"
    SUPERSEDED = "superseded"
    SCHEMA_TOO_NEW = "schema_too_new"
    DIES_AGAIN = "dies_again"
    UNKNOWN = "unknown"
    NOT_WAITING = "not_waiting"


class Foreseen(View):
    """The prediction for one dead letter. ``already_applied`` is ``yes``, or ``unknown`` where only the consumer
    knows."""

    dlq_message_id: str
    outcome: Outcome
    detail: str
    code: ErrorCode | None = None
    already_applied: str = "unknown"
    message_id: str | None = None


class _Say(Protocol):
    def __call__(self, outcome: Outcome, detail: str, code: ErrorCode | None = None) -> Foreseen: ...


async def predict(dead_letter: DLQMessage, ctx: Context) -> Foreseen:
    """Returns the first obstacle to a replay, or ``ready``."""

    def say(outcome: Outcome, detail: str, code: ErrorCode | None = None) -> Foreseen:
        return Foreseen(
            dlq_message_id=dead_letter.dlq_message_id,
            outcome=outcome,
            detail=detail,
            code=code,
            already_applied="yes" if outcome is Outcome.ALREADY_APPLIED else "unknown",
            message_id=dead_letter.message_id,
        )

    if dead_letter.state not in (State.WAITING, State.QUARANTINED):
        return say(Outcome.NOT_WAITING, f"It is {dead_letter.state}, so a replay would leave it out.")
    same_build = bool(dead_letter.build) and dead_letter.build == ctx.settings.build
    body = dead_letter.edited_body or dead_letter.body
    if dead_letter.event_type is None and dead_letter.cause != "unhandled" and "-feed-" in dead_letter.queue:
        if same_build:
            return say(Outcome.DIES_AGAIN, "The build that could not read this provider's message still runs.")
        return say(Outcome.UNKNOWN, "Only the service of that feed can tell whether it can read the message now.")
    try:
        envelope = Envelope.from_wire(transitions.read(body))
    except UnknownVersion as unknown:
        return say(Outcome.SCHEMA_TOO_NEW, f"{unknown}; deploy a build that knows it, then replay.")
    except Malformed as malformed:
        return say(Outcome.DIES_AGAIN, f"It is still malformed: {malformed}. Edit or discard it.")
    if dead_letter.cause == "rejected" and same_build and dead_letter.edited_body is None:
        return say(Outcome.DIES_AGAIN, "The build that rejected it still runs, and would reject it again.")
    reason = await _of_its_kind(envelope.data, dead_letter, ctx, say)
    return reason or say(
        Outcome.READY, "Nothing known here stands against it; if it was applied before, that is recognised by its id."
    )


async def _of_its_kind(event: Event, dead_letter: DLQMessage, ctx: Context, say: _Say) -> Foreseen | None:
    # A message that SQS moved itself names no service, but its queue does. An event of an outbox is sent to its topic,
    # and from there to senders.
    senders = dead_letter.queue.startswith(f"{ctx.settings.prefix}-outbound-") or OUTBOX_MARK in dead_letter.attributes
    match event:
        case PermissionChanged():
            return await _permission(event, ctx, say)
        case MessageQueued() if senders:
            return await _send(event, ctx, say)
        case ChunkReleased() if senders:
            return await _chunk(event, ctx, say)
        case SendAgainDecided() if senders:
            return await _begun(event.message_id, event.resends > 0, ctx, say)
    return None


async def _permission(event: PermissionChanged, ctx: Context, say: _Say) -> Foreseen:
    known = await permission_of(event.contact_id, event.channel, ctx)
    if known is not None and known.revision > event.standing.revision:
        return say(Outcome.SUPERSEDED, f"Revision {known.revision} is known; {event.standing.revision} is no news.")
    return say(Outcome.READY, "It is the newest that is known of this contact.")


async def _send(event: MessageQueued, ctx: Context, say: _Say) -> Foreseen:
    begun = await _begun(event.message_id, event.resend > 0, ctx, say)
    if begun is not None:
        return begun
    known, no = await _refused(event, ctx)
    if no is not None:
        return say(Outcome.REFUSED, no.text(), no.code)
    if not known:
        return say(Outcome.UNKNOWN, "No permission of this contact is known here; the sender decides by its own copy.")
    return say(
        Outcome.READY,
        "It would be sent, unless its sender's ledger knows that it was sent before it died: it is never sent twice.",
    )


async def _begun(message_id: str, resend: bool, ctx: Context, say: _Say) -> Foreseen | None:
    """Whether the message has already been handled, as far as known. ``resend``: an operator decided to resend it."""
    watched = await ctx.get(Watched, message_id)
    status = watched.status if watched else None
    if status is None:
        return None
    if RANK[status] >= RANK[Status.SENT] or (status is Status.UNKNOWN and not resend):
        return say(Outcome.ALREADY_APPLIED, f"The message is {status}; its sender would not send it again.")
    if status in (Status.CLAIMED, Status.UNCERTAIN) and not resend:
        return say(
            Outcome.UNKNOWN, f"The message is {status}: its sender has begun with it, and settles that by itself."
        )
    return None


async def _refused(event: MessageQueued, ctx: Context) -> tuple[bool, Refusal | None]:
    """Returns whether the contact is known here, and why its message would not be sent."""
    template = await template_copy.known(event.content, event.channel, ctx)
    no = await template_copy.why_not(event.content, template, event.channel, ctx)
    standing = await permission_of(event.contact_id, event.channel, ctx)
    if standing is not None:
        purpose = purpose_of(template, event.purpose)
        asked = SendFacts(event.channel, purpose, event.content, event.expires_at)
        no = refusal(standing, asked, ctx.now) or no
    elif event.expires_at <= ctx.now:
        no = Refusal(ErrorCode.EXPIRED)
    return standing is not None, no


async def _chunk(event: ChunkReleased, ctx: Context, say: _Say) -> Foreseen:
    """Predicts a chunk of a job, which is many messages; it is refused if each of them is."""
    found = await asyncio.gather(*(_refused(_one(event, who), ctx) for who in event.addressees))
    codes = Counter(no.code for _, no in found if no is not None)
    why = ", ".join(f"{code} {count}" for code, count in codes.most_common())
    if found and codes.total() == len(found):
        return say(
            Outcome.REFUSED, f"None of its {len(found)} messages would be sent ({why}).", codes.most_common(1)[0][0]
        )
    unknown = sum(1 for known, no in found if no is None and not known)
    refused = f"{codes.total()} of its {len(found)} messages would be refused ({why})" if codes else ""
    extra_members = f"of {unknown} contacts no permission is known here" if unknown else ""
    reason = "; ".join(
        part for part in (refused, extra_members, "its sender's ledger knows which were sent before") if part
    )
    return say(Outcome.READY, f"{reason[0].upper()}{reason[1:]}.")


def _one(event: ChunkReleased, who: Addressee) -> MessageQueued:
    """Returns a message of the chunk, with the fields the prediction needs."""
    try:
        content = personal(event.content, who.variables)
    except Unfit:
        content = event.content
    return MessageQueued(
        message_id=who.message_id, contact_id=who.contact_id, channel=event.channel, message_class=event.message_class,
        purpose=event.purpose, content=content, queued_at=event.released_at, expires_at=event.expires_at,
    )  # fmt: skip
