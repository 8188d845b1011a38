"""Every step that a letter can take. Pure; each returns the letter one step on.

waiting -> replaying -> replayed -> waiting again (it died of the replay) or, after the fifth, quarantined;
waiting or quarantined -> discarded. Editing changes what is sent and not where the letter stands.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from libs.common.bus.base import Letter
from libs.common.errors import Malformed
from libs.common.jsontext import name_in, read_json
from libs.messaging.words import Channel
from services.dlq_replay.model import (
    MOST_REPLAYS,
    Action,
    Death,
    DLQMessage,
    Slot,
    State,
    expiry,
    letter_id,
    place_of,
    remembered,
    shard_of,
)

#: Attributes of ours that tell of a replay; they are not part of what died.
MARKS = frozenset({"letter", "replay"})


def death_of(letter: Letter, death_id: str, now: datetime) -> Death:
    replay = letter.record.attributes.get("replay", "")
    return Death(
        id=death_id,
        at=letter.died_at or now,
        cause=letter.cause,
        exception=letter.exception,
        text=letter.text,
        handler=letter.handler,
        build=letter.build,
        receives=letter.record.receive_count,
        first_received_at=letter.record.first_received_at,
        decision=int(replay) if replay.isdecimal() and len(replay) < 10 else 0,
    )


def first_death(letter: Letter, death: Death, now: datetime) -> DLQMessage:
    """A letter that was not known yet."""
    wire = read(letter.record.body)
    data = _object(wire, "data")
    channel = letter.record.attributes.get("channel") or name_in(data, "channel") or _channel_in(letter.queue)
    made = DLQMessage(
        dlq_message_id=letter_id(letter.queue, letter.event_id, letter.record.body),
        queue=letter.queue,
        service=letter.service,
        handler=letter.handler,
        build=letter.build,
        cause=letter.cause,
        exception=letter.exception,
        text=letter.text,
        event_id=letter.event_id,
        event_type=letter.event_type,
        correlation_id=letter.correlation_id,
        traceparent=name_in(wire, "traceparent"),
        channel=channel,
        message_id=name_in(data, "messageId"),
        contact_id=name_in(data, "contactId"),
        body=letter.record.body,
        attributes={name: value for name, value in letter.record.attributes.items() if name not in MARKS},
        first_died_at=death.at,
        died_at=death.at,
        deaths=(death,),
        death_count=1,
        place="",
        slot="",
        expires_at=expiry(now),
    )
    place = place_of(State.WAITING, shard_of(made.dlq_message_id))
    return made.model_copy(update={"place": place, "slot": Slot.of(made)})


def died_again(known: DLQMessage, letter: Letter, death: Death, now: datetime) -> DLQMessage:
    """One more death of the same. A copy that died before the replay, or of another one, does not undo the replay."""
    state, actions = known.state, known.history
    if _of_the_replay(known, death):
        state = State.QUARANTINED if known.decision >= MOST_REPLAYS else State.WAITING
        if state is State.QUARANTINED:
            death = death.model_copy(update={"quarantined": True})
            why = f"it died of {known.decision} replays"
            actions = remembered(actions, Action(what="quarantined", at=now, by="system:dlq-replay", why=why))
    news: dict[str, Any] = {
        "deaths": remembered(known.deaths, death),
        "death_count": known.death_count + 1,
        "history": actions,
    }
    if death.at >= known.died_at:
        news |= {name: getattr(letter, name) for name in ("handler", "build", "cause", "exception", "text")}
        news["died_at"] = death.at
    after = known.model_copy(update=news).with_state(state, now)
    return after.model_copy(update={"slot": Slot.of(after)})


def _of_the_replay(known: DLQMessage, death: Death) -> bool:
    """Whether this death is what the last replay came to."""
    if known.state is State.REPLAYING:
        return death.decision == known.decision
    if known.state is State.REPLAYED:
        late = known.replayed_at is not None and death.at > known.replayed_at
        return death.decision == known.decision or (death.decision == 0 and late)
    return False


def taken(letter: DLQMessage, job_id: str, by: str, why: str, now: datetime) -> DLQMessage:
    """A job is about to send it."""
    action = Action(what="replayed", at=now, by=by, why=why, job_id=job_id)
    update = {"decision": letter.decision + 1, "job_id": job_id}
    return letter.model_copy(update=update).with_state(State.REPLAYING, now).with_action(action)


def edited(letter: DLQMessage, body: str, by: str, why: str, now: datetime) -> DLQMessage:
    action = Action(what="edited", at=now, by=by, why=why)
    return letter.model_copy(update={"edited_body": None if body == letter.body else body}).with_action(action)


def discarded(letter: DLQMessage, by: str, why: str, now: datetime) -> DLQMessage:
    return letter.with_state(State.DISCARDED, now).with_action(Action(what="discarded", at=now, by=by, why=why))


def read(body: str) -> dict[str, Any]:
    """The event's wire object, or nothing."""
    try:
        found = read_json(body)
    except Malformed:
        return {}
    return found if isinstance(found, dict) else {}


def _object(found: dict[str, Any], name: str) -> dict[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _channel_in(queue: str) -> str | None:
    """A feed's messages carry no attributes; its queue is named after the channel."""
    return next((channel.value for channel in Channel if channel.value in queue.split("-")), None)
