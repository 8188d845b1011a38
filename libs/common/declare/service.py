"""The declaration of a service: the items it owns, the events it hears and says, its routes and its schedules.

Everything else is derived from it (see :mod:`libs.common.declare.topology`): queues, topics, filters, tables,
permissions, schedules, schemas, documents. A name written by hand twice is a bug.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from libs.common.declare.event import Event
from libs.common.declare.request_events import RequestHandled, RequestRefused
from libs.common.errors import Malformed
from libs.common.json_text import read_json
from libs.common.settings import Settings
from libs.common.store.item import Item
from libs.common.store.ops import Op

#: A function from an event (and the context) to the events that follow from it.
Handler = Callable[[Any, Any], Awaitable[Iterable[Event] | None]]
#: A pure function from a provider's message (and, for a timed feed, its time of arrival) to ``[(key, event)]``;
#: ``key`` derives from the provider's id.
Parser = Callable[..., Sequence[tuple[str, Event]]]


@dataclass(frozen=True)
class TickAction:
    """One unit of work of a tick. Its writes and events are one transaction, applied once per ``key``. If a condition no
    longer holds, another process was faster, and the action is dropped."""

    key: str
    writes: tuple[Op, ...] = ()
    events: tuple[Event, ...] = ()


#: A scheduled function: it reads through the context and yields tick actions.
Tick = Callable[[Any], AsyncIterator[TickAction]]


@dataclass(frozen=True)
class On:
    """One event heard. ``where`` narrows by the SNS attributes ``channel`` and ``class``; ``lane`` gives it a queue of its
    own beside the service's; ``ledger`` makes the handler's staged writes and its events one transaction."""

    event: type[Event]
    handler: Handler
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lane: str = ""
    ledger: bool = False

    def wants(self, attributes: Mapping[str, str]) -> bool:
        return all(attributes.get(name) in values for name, values in self.where.items())


def _unwrapped(text: str) -> str:
    """Our subscriptions use raw delivery. A subscription made by hand may not; then SNS's envelope wraps the message."""
    if '"TopicArn"' not in text:
        return text
    try:
        envelope = read_json(text)
    except Malformed:
        return text
    is_envelope = isinstance(envelope, dict) and envelope.get("Type") == "Notification" and "TopicArn" in envelope
    return str(envelope["Message"]) if is_envelope and "Message" in envelope else text


@dataclass(frozen=True)
class Feed:
    """A provider's messages: an SNS topic that the provider publishes to, a queue subscribed to it, and the
    pure translator into our events. ``principals`` are the AWS services that may publish; ``timed``: messages contain no
    time, so ``parse`` receives the time of arrival. A message longer than ``max_inline_characters`` is translated in a child
    process (:mod:`libs.common.handle.feeds`): for feeds whose messages are written by strangers."""

    name: str
    parse: Parser
    principals: tuple[str, ...] = ()
    timed: bool = False
    max_inline_characters: int | None = None

    def translate(self, text: str, at: datetime) -> Sequence[tuple[str, Event]]:
        """``at``: when the message arrived in the queue. Raises what ``parse`` raises."""
        bare = _unwrapped(text)
        return self.parse(bare, at) if self.timed else self.parse(bare)


@dataclass(frozen=True)
class Every:
    """A schedule. It runs every ``seconds``, possibly in several processes at once, and must tolerate that."""

    seconds: int
    tick: Tick
    name: str = ""

    def label(self) -> str:
        return self.name or getattr(self.tick, "__name__", "tick").replace("_", "-")


@dataclass(frozen=True)
class Bucket:
    """A private, encrypted bucket, named ``<prefix>-<owner>-<name>``; objects expire after ``days`` (None: never). ``owner`` is the
    service itself unless the bucket belongs to another service."""

    name: str
    days: int | None = None
    owner: str = ""


@dataclass(frozen=True)
class Secret:
    """A secret by reference, ``<prefix>/<owner>/<name>``; never in the environment, logs or events. ``owner`` is the service
    itself unless the secret belongs to another service."""

    name: str
    owner: str = ""


#: As a resource of a :class:`Grant`: the stage's user pool.
USER_POOL = "user-pool"


@dataclass(frozen=True)
class Grant:
    """AWS actions outside what the kit derives (a provider's send operations), for the policy of this service alone."""

    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class Service:
    """A service. ``serves`` is the service's HTTP router (an ``Api``)."""

    name: str
    owns: Sequence[type[Item]] = ()
    hears: Sequence[On] = ()
    says: Sequence[type[Event]] = ()
    serves: Any = None
    every: Sequence[Every] = ()
    needs: Sequence[Bucket | Secret | Grant] = ()
    feeds: Sequence[Feed] = ()
    #: Makes it the only consumer of every dead-letter queue: from a :class:`~libs.common.bus.base.DeadLetter` to the
    #: events that follow. A dead letter is deleted from its queue only after this has returned.
    hears_dead_letters: Handler | None = None
    #: Called with each event of an accepted request or of a tick that no topic accepts, so that its subject does not wait
    #: for it; returns the events that follow.
    gives_up: Handler | None = None
    #: Called with the settings before anything starts; raises ValueError that names an invalid one.
    checks: Callable[[Settings], object] | None = None
    #: Called with each event before it is published, for metrics; called again when the event is published again.
    counts: Callable[[Event], None] | None = None

    def lanes(self) -> list[str]:
        """The lanes of its queues: ``""`` is the service's own queue. A service with a ledger has that one even if it hears
        nothing: its dead-letter queue takes the dead letters of the outbox, and they are replayed to it."""
        return sorted({on.lane for on in self.hears} | ({""} if self.uses_ledger() else set()))

    def facts(self) -> list[type[Event]]:
        """All events published in its name: those it declares, and those of the kit about requests."""
        routes = getattr(self.serves, "routes", ())
        handled = [RequestHandled] if any(route.kind == "write" for route in routes) else []
        refused = [RequestRefused] if any(route.role is not None for route in routes) else []
        return [*self.says, *handled, *refused]

    def uses_ledger(self) -> bool:
        return self.serves is not None or bool(self.every) or any(on.ledger for on in self.hears)


def on(
    event: type[Event],
    handler: Handler,
    *,
    channel: str | tuple[str, ...] | None = None,
    message_class: str | tuple[str, ...] | None = None,
    lane: str = "",
    ledger: bool = False,
) -> On:
    """Declare a subscription to ``event``, optionally filtered by channel and message class."""
    where: dict[str, tuple[str, ...]] = {}
    for name, wanted in (("channel", channel), ("class", message_class)):
        if wanted is not None:
            where[name] = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    return On(event, handler, where, lane, ledger)


def every(seconds: int, tick: Tick) -> Every:
    return Every(seconds, tick)
