"""Transitions of a dead letter. Pure; each returns the dead letter after it.

waiting -> replaying -> replayed -> waiting again (the replay failed) or, after the fifth, quarantined; waiting or
quarantined -> discarded. Editing changes the event to send and not the state.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from libs.common.bus.base import DeadLetter
from libs.common.errors import Malformed
from libs.common.json_text import name_in, read_json
from libs.messaging.channels import Channel
from services.dlq_replay.model import (
    MAX_REPLAYS,
    Action,
    DLQMessage,
    Failure,
    Slot,
    State,
    dead_letter_id,
    expiry,
    shard_of,
    slot_of,
    trimmed_history,
)

#: The platform's attributes of a replay; they are not part of the original message.
REPLAY_ATTRIBUTES = frozenset({"letter", "replay"})


def failure_of(dead_letter: DeadLetter, failure_id: str, now: datetime) -> Failure:
    replay = dead_letter.record.attributes.get("replay", "")
    return Failure(
        id=failure_id,
        at=dead_letter.died_at or now,
        cause=dead_letter.cause,
        exception=dead_letter.exception,
        text=dead_letter.text,
        handler=dead_letter.handler,
        build=dead_letter.build,
        receives=dead_letter.record.receive_count,
        first_received_at=dead_letter.record.first_received_at,
        decision=int(replay) if replay.isdecimal() and len(replay) < 10 else 0,
    )


def first_failure(dead_letter: DeadLetter, failure: Failure, now: datetime) -> DLQMessage:
    """Returns a new dead letter."""
    wire = read(dead_letter.record.body)
    data = _object(wire, "data")
    channel = dead_letter.record.attributes.get("channel") or name_in(data, "channel") or _channel_in(dead_letter.queue)
    made = DLQMessage(
        dlq_message_id=dead_letter_id(dead_letter.queue, dead_letter.event_id, dead_letter.record.body),
        queue=dead_letter.queue,
        service=dead_letter.service,
        handler=dead_letter.handler,
        build=dead_letter.build,
        cause=dead_letter.cause,
        exception=dead_letter.exception,
        text=dead_letter.text,
        event_id=dead_letter.event_id,
        event_type=dead_letter.event_type,
        correlation_id=dead_letter.correlation_id,
        traceparent=name_in(wire, "traceparent"),
        channel=channel,
        message_id=name_in(data, "messageId"),
        contact_id=name_in(data, "contactId"),
        body=dead_letter.record.body,
        attributes={
            name: value for name, value in dead_letter.record.attributes.items() if name not in REPLAY_ATTRIBUTES
        },
        first_died_at=failure.at,
        died_at=failure.at,
        deaths=(failure,),
        death_count=1,
        place="",
        slot="",
        expires_at=expiry(now),
    )
    place = slot_of(State.WAITING, shard_of(made.dlq_message_id))
    return made.model_copy(update={"place": place, "slot": Slot.of(made)})


def failed_again(known: DLQMessage, dead_letter: DeadLetter, failure: Failure, now: datetime) -> DLQMessage:
    """Adds a further failure. A copy that failed before the replay, or of another replay, does not undo the replay."""
    state, actions = known.state, known.history
    if _of_the_replay(known, failure):
        state = State.QUARANTINED if known.decision >= MAX_REPLAYS else State.WAITING
        if state is State.QUARANTINED:
            failure = failure.model_copy(update={"quarantined": True})
            why = f"it died of {known.decision} replays"
            actions = trimmed_history(actions, Action(what="quarantined", at=now, by="system:dlq-replay", why=why))
    updates: dict[str, Any] = {
        "deaths": trimmed_history(known.deaths, failure),
        "death_count": known.death_count + 1,
        "history": actions,
    }
    if failure.at >= known.died_at:
        updates |= {name: getattr(dead_letter, name) for name in ("handler", "build", "cause", "exception", "text")}
        updates["died_at"] = failure.at
    after = known.model_copy(update=updates).with_state(state, now)
    return after.model_copy(update={"slot": Slot.of(after)})


def _of_the_replay(known: DLQMessage, failure: Failure) -> bool:
    """Whether this failure is that of the last replay."""
    if known.state is State.REPLAYING:
        return failure.decision == known.decision
    if known.state is State.REPLAYED:
        late = known.replayed_at is not None and failure.at > known.replayed_at
        return failure.decision == known.decision or (failure.decision == 0 and late)
    return False


def taken(dead_letter: DLQMessage, job_id: str, by: str, why: str, now: datetime) -> DLQMessage:
    """Returns the dead letter taken by a job, which is about to send it."""
    action = Action(what="replayed", at=now, by=by, why=why, job_id=job_id)
    update = {"decision": dead_letter.decision + 1, "job_id": job_id}
    return dead_letter.model_copy(update=update).with_state(State.REPLAYING, now).with_action(action)


def edited(dead_letter: DLQMessage, body: str, by: str, why: str, now: datetime) -> DLQMessage:
    action = Action(what="edited", at=now, by=by, why=why)
    return dead_letter.model_copy(update={"edited_body": None if body == dead_letter.body else body}).with_action(
        action
    )


def discarded(dead_letter: DLQMessage, by: str, why: str, now: datetime) -> DLQMessage:
    return dead_letter.with_state(State.DISCARDED, now).with_action(Action(what="discarded", at=now, by=by, why=why))


def read(body: str) -> dict[str, Any]:
    """Returns the event's JSON object, or an empty one."""
    try:
        found = read_json(body)
    except Malformed:
        return {}
    return found if isinstance(found, dict) else {}


def _object(found: dict[str, Any], name: str) -> dict[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _channel_in(queue: str) -> str | None:
    """Returns the channel from the queue's name: a feed's messages have no attributes."""
    return next((channel.value for channel in Channel if channel.value in queue.split("-")), None)
