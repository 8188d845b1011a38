"""Decisions of an administrator on a dead letter besides a replay: edit its data, or discard it. Nothing is ever
deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field
from pydantic.alias_generators import to_camel

from libs.common.declare.event import Envelope, known_events
from libs.common.declare.wire import TrimmedBody
from libs.common.errors import Malformed, Problem, UnknownVersion
from libs.common.handle.context import Context, Done
from libs.common.store.ops import Update
from libs.messaging.events.dlq import LetterDecided
from services.dlq_replay import transitions
from services.dlq_replay.model import DLQMessage, State, moved
from services.dlq_replay.search import dead_letter_by_id, rows

#: Fields that identify the subject of an event. An edit can neither change nor add one, at any depth.
FIXED = frozenset([
    "address", "channel", "contactId", "email", "messageClass", "messageId", "phone", "providerId", "providerMessageId",
    "recipient", "sender", "senderUserId", "to",
])  # fmt: skip
#: A row is limited to 400 KB, and the original (up to 256 KB, the limit of SQS) stays in it.
MAX_EDIT_BYTES = 100_000
#: A transaction is limited to 100 writes.
MAX_DISCARDED = 90

Reason = Annotated[str, Field(min_length=3, max_length=500)]


class EditLetter(TrimmedBody):
    """An edit. ``data`` replaces the event's data completely; its id, type and other fields stay unchanged. ``why`` is
    recorded."""

    data: dict[str, Any]
    why: Reason


class Discard(TrimmedBody):
    ids: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(min_length=1, max_length=MAX_DISCARDED)
    why: Reason


async def edit_letter(dlq_message_id: str, body: EditLetter, ctx: Context) -> Done[DLQMessage]:
    """Edits the event to send in a replay; the original is kept. Raises Problem, with each invalid field."""
    dead_letter = await dead_letter_by_id(ctx, dlq_message_id)
    _still_open(dead_letter, "edited")
    wire = transitions.read(dead_letter.body)
    if not isinstance(wire.get("type"), str) or not isinstance(wire.get("id"), str):
        raise Problem(422, "NOT_AN_EVENT", "Only an event can be edited", "Discard it, or replay it as it is.")
    new = {**wire, "data": body.data}
    _check_fixed(wire, body.data)
    try:
        Envelope.from_wire(new)
    except UnknownVersion as unknown:
        raise Problem(
            422, "SCHEMA_UNKNOWN", "This build does not know the type, so it cannot check an edit", str(unknown)
        ) from None
    except Malformed as malformed:
        raise Problem(422, "VALIDATION_FAILED", "The edited event is not valid", str(malformed)) from None
    text = json.dumps(new, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode()) > MAX_EDIT_BYTES:
        raise Problem(422, "TOO_LARGE", "The edited event is too large", f"It may have {MAX_EDIT_BYTES} bytes.")
    after = transitions.edited(dead_letter, dead_letter.body if new == wire else text, ctx.actor, body.why, ctx.now)
    ctx.stage(change(ctx, dead_letter, after))
    return Done(after, (decided(dead_letter, "edited", ctx.actor, body.why, ctx.now),))


def _check_fixed(wire: dict[str, Any], data: dict[str, Any]) -> None:
    before, after = wire.get("data"), data
    # The field that the envelope identifies as its subject may be corrected in the data.
    event = known_events().get(wire["type"])
    about = to_camel(event.ABOUT) if event else ""
    was = dict(_fixed(before, about))
    if about and about not in was:
        was[about] = wire.get("subject")
    now = dict(_fixed(after, about))
    wrong = sorted(path for path in was.keys() | now.keys() if was.get(path) != now.get(path))
    if wrong:
        errors = [
            {"field": f"data.{path}", "detail": "Leave it as it was: a replay goes to whom it was meant for."}
            for path in wrong
        ]
        raise Problem(422, "RECIPIENT_FIXED", "An edit cannot change whom or what an event is about", "", errors)


def _fixed(value: Any, about: str, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            here = f"{path}.{name}" if path else name
            if name in FIXED or here == about:
                yield here, inner
            else:
                yield from _fixed(inner, about, here)
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _fixed(inner, about, f"{path}.{n}")


async def discard_letters(body: Discard, ctx: Context) -> Done[list[DLQMessage]]:
    """Discards dead letters: they are not replayed; the records are kept for seven days. Raises Problem."""
    ids = list(dict.fromkeys(body.ids))
    found = await rows(ctx, ids)
    if missing := set(ids) - {row.dlq_message_id for row in found}:
        errors = [{"field": "ids", "detail": each} for each in sorted(missing)]
        raise Problem(404, "LETTER_NOT_FOUND", "There are no such letters", "They are kept for seven days.", errors)
    after = []
    for dead_letter in found:
        if dead_letter.state is not State.DISCARDED:
            _still_open(dead_letter, "discarded")
            letter_after = transitions.discarded(dead_letter, ctx.actor, body.why, ctx.now)
            ctx.stage(change(ctx, dead_letter, letter_after))
            after.append(letter_after)
    return Done(after, tuple(decided(each, "discarded", ctx.actor, body.why, ctx.now) for each in after))


def _still_open(dead_letter: DLQMessage, what: str) -> None:
    if dead_letter.state not in (State.WAITING, State.QUARANTINED):
        raise Problem(
            409,
            "NOT_WAITING",
            f"It is {dead_letter.state}, so it cannot be {what}",
            f"Letter {dead_letter.dlq_message_id}",
        )


def decided(
    dead_letter: DLQMessage, decision: str, by: str, why: str, at: datetime, job_id: str | None = None
) -> LetterDecided:
    """Returns the event of a decision."""
    about = dead_letter.model_dump(include={"dlq_message_id", "queue", "event_type", "message_id"})
    return LetterDecided.model_validate(
        {**about, "decision": decision, "by": by, "why": why, "at": at, "job_id": job_id}
    )


def change(ctx: Context, old: DLQMessage, new: DLQMessage) -> Update:
    """Returns an update of the changed fields only, conditional on the version that was read."""
    changed, gone, when = moved(old, new)
    return ctx.update(DLQMessage, old.dlq_message_id, set=changed, remove=gone, when=when)
