"""Events: facts in the past tense, and the CloudEvents 1.0 envelope that carries them.

An :class:`Event` is the fact alone. An :class:`Envelope` adds source, time, cause and
actor. Ids are derived, not random: the same cause always yields the same event ids, so consumers recognise a
rerun as a duplicate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from libs.common.clock import derived_id, iso
from libs.common.errors import Malformed, UnknownVersion
from libs.common.json_text import MAX_JSON_DEPTH, MAX_NAME_CHARACTERS, is_too_deep, name_in


class Event(BaseModel):
    """Base of every event. Subclasses set ``TYPE`` (``topic.fact-name.vN``) and ``ABOUT`` (the subject's field).

    Fields called ``channel`` and ``message_class`` become the SNS attributes ``channel`` and ``class`` that
    filter policies use. Unknown fields are ignored, so events of newer builds can be read.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

    TYPE: ClassVar[str]
    ABOUT: ClassVar[str]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "TYPE" in cls.__dict__:
            known = _registry.setdefault(cls.TYPE, cls)
            if known.__qualname__ != cls.__qualname__:
                raise TypeError(f"two events are called {cls.TYPE}: {known.__qualname__}, {cls.__qualname__}")

    @property
    def subject(self) -> str:
        return str(getattr(self, self.ABOUT))

    @property
    def linger(self) -> float:
        """How long it may wait to be batched with others, in seconds. Longer for frequent events that are not urgent."""
        return 0.005

    @property
    def facet(self) -> str:
        """Part of the derived id. It separates different facts that one cause leads to at different times: a send is
        first uncertain and, when the event is redelivered, known to be sent."""
        return ""

    @classmethod
    def topic(cls) -> str:
        return cls.TYPE.split(".", 1)[0]


_registry: dict[str, type[Event]] = {}


def known_events() -> dict[str, type[Event]]:
    """Every event class that has been imported, by type."""
    return dict(_registry)


@dataclass(frozen=True)
class Cause:
    """The cause of an action: an event, a request or a tick. Ids of the events that follow derive from ``id``."""

    id: str
    correlation_id: str
    actor: str = "system"
    traceparent: str | None = None
    #: The cause of that event, if the cause is an event.
    causation_id: str | None = None

    @property
    def of_a_request(self) -> bool:
        """Whether a user's request published this event directly; False for events that followed later."""
        return self.actor.startswith("user:") and self.causation_id == self.correlation_id


@dataclass(frozen=True)
class Envelope:
    """An event with its metadata.

    ``actor`` is who caused it (``user:<sub>``, ``customer``, ``system:<service>``); ``correlation_id`` is the id
    of the root cause, ``causation_id`` that of the direct cause.
    """

    id: str
    source: str
    time: datetime
    data: Event
    correlation_id: str
    causation_id: str | None = None
    actor: str = "system"
    traceparent: str | None = None

    @property
    def type(self) -> str:
        return self.data.TYPE

    def as_cause(self) -> Cause:
        return Cause(self.id, self.correlation_id, self.actor, self.traceparent, self.causation_id)

    def attributes(self) -> dict[str, str]:
        """The SNS message attributes that subscriptions filter on."""
        found = {"type": self.data.TYPE}
        channel = getattr(self.data, "channel", None)
        message_class = getattr(self.data, "message_class", None)
        if channel is not None:
            found["channel"] = str(channel)
        if message_class is not None:
            found["class"] = str(message_class)
        return found

    def to_wire(self) -> dict[str, Any]:
        """CloudEvents 1.0, structured JSON."""
        wire: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.data.TYPE,
            "subject": self.data.subject,
            "time": iso(self.time),
            "datacontenttype": "application/json",
            "correlationid": self.correlation_id,
            "actor": self.actor,
            "data": self.data.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        if self.causation_id:
            wire["causationid"] = self.causation_id
        if self.traceparent:
            wire["traceparent"] = self.traceparent
        return wire

    @staticmethod
    def from_wire(wire: Any) -> Envelope:
        """Read one event. Raises :class:`Malformed` or :class:`UnknownVersion`."""
        if not isinstance(wire, dict) or not isinstance(wire.get("type"), str):
            raise Malformed("not a CloudEvents object with a type")
        if is_too_deep(wire):
            raise Malformed(f"nested deeper than {MAX_JSON_DEPTH} levels")
        event_class = _registry.get(wire["type"])
        if event_class is None:
            raise UnknownVersion(f"no event {wire['type']} in this build")
        _check_members(wire)
        try:
            return Envelope(
                id=wire["id"],
                source=wire["source"],
                time=_aware(wire["time"]),
                data=event_class.model_validate(wire["data"]),
                correlation_id=wire.get("correlationid") or wire["id"],
                causation_id=wire.get("causationid"),
                actor=wire.get("actor", "system"),
                traceparent=wire.get("traceparent"),
            )
        except ValidationError as error:
            where = ", ".join(".".join(map(str, e["loc"])) + ": " + e["msg"] for e in error.errors())
            raise Malformed(f"{wire['type']}: {where}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise Malformed(f"{wire['type']}: {type(error).__name__} {error}") from None


def _check_members(wire: dict[str, Any]) -> None:
    """Validates an id: ids are row keys, and other ids derive from them. Raises :class:`Malformed`."""
    if name_in(wire, "id") is None:
        raise Malformed(f"{wire['type']}: id is missing, or no text of at most {MAX_NAME_CHARACTERS} characters")
    for name in ("source", "correlationid", "causationid", "actor", "traceparent"):
        if not isinstance(wire.get(name, ""), str | None):
            raise Malformed(f"{wire['type']}: {name} is no text")


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return moment


def root_cause(*key: str, actor: str = "system", traceparent: str | None = None) -> Cause:
    """A root cause. ``key`` names the external trigger: an Idempotency-Key, a provider's id, a tick's row."""
    cause_id = derived_id(*key)
    return Cause(cause_id, cause_id, actor, traceparent)


def following(cause: Cause, events: Iterable[Event], *, source: str, now: datetime) -> list[Envelope]:
    """Wrap the events that a handler returned for ``cause``: same cause, same order, same ids."""
    seen: dict[tuple[str, str], int] = {}
    stamped = []
    for data in events:
        n = seen[data.TYPE, data.subject] = seen.get((data.TYPE, data.subject), -1) + 1
        stamped.append(
            Envelope(
                id=derived_id(cause.id, source, data.TYPE, data.subject, str(n), *filter(None, [data.facet])),
                source=source,
                time=now,
                data=data,
                correlation_id=cause.correlation_id,
                causation_id=cause.id,
                actor=cause.actor,
                traceparent=cause.traceparent,
            )
        )
    return stamped


def is_pack(body: str) -> bool:
    """Whether a message is a batch of events."""
    return body.startswith("[")


def unpack(body: str) -> list[Any]:
    """The events on one message, not yet validated. Raises :class:`Malformed` when it is no JSON object or array. Of a batch
    each event is validated separately: one that is nested too deep does not affect the others."""
    try:
        parsed = orjson.loads(body)
    except ValueError as error:
        raise Malformed(f"not JSON: {error}") from None
    if isinstance(parsed, dict):
        return [parsed]
    if isinstance(parsed, list) and parsed:
        return parsed
    raise Malformed("neither a CloudEvents object nor a batch")
