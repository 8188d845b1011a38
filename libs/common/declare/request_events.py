"""What the kit itself says of requests: that one which changes something was accepted, and that one was refused for a role.

Names, ids and small facts only: never a body, an address or a token, so that whoever keeps them need not hide them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.declare.event import Envelope, Event
from libs.common.declare.wire import Part
from libs.common.observe.log import redact

#: So many of the facts that a request led to are named, the others counted: somebody may discard ninety dead letters at once.
MAX_FACTS = 10
MAX_VALUE_LENGTH = 120
_ID = re.compile(rf"[\w.:#~-]{{1,{MAX_VALUE_LENGTH}}}")


class Fact(Part):
    """A fact that a request led to, by its type and what it is about."""

    type: str
    subject: str


class RequestHandled(Event):
    """A request that changes something was accepted: who asked for what. Said once for each Idempotency-Key."""

    TYPE = "requests.handled.v1"
    ABOUT = "action"

    service: str
    #: ``contacts.create_contact``: the operation's id in the OpenAPI document.
    action: str
    role: str
    method: str
    #: The path as it is declared, and the ids and words that stood in it.
    route: str
    parameters: dict[str, str] = Field(default_factory=dict)
    #: The id of what it is about, if it is about one thing.
    resource: str | None = None
    #: A digest of the Idempotency-Key; None: the client sent none.
    key_digest: str | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    facts: tuple[Fact, ...] = ()
    more_facts: int = 0
    at: Timestamp


class RequestRefused(Event):
    """Somebody who was signed in asked for what their role may not."""

    TYPE = "requests.refused.v1"
    ABOUT = "action"

    service: str
    action: str
    #: The caller's role (None: they have none) and the one that is needed.
    role: str | None = None
    needs: str
    method: str
    route: str
    parameters: dict[str, str] = Field(default_factory=dict)
    resource: str | None = None
    #: Refusals of the same caller that were only counted since the last one that was said.
    unsaid: int = 0
    at: Timestamp


def action_of(service: str, function: Callable[..., Any]) -> str:
    """The name of what a route does."""
    return f"{service}.{function.__name__}"


def ids_in(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a path that can be kept: ids and words. A client may write anything there, an address too."""
    texts = {name: str(value) for name, value in parameters.items()}
    return {name: text for name, text in texts.items() if _ID.fullmatch(text) and redact(text) == text}


@dataclass(frozen=True)
class RequestFacts:
    """What a request asks for, as far as it may be told. ``about`` names the attribute of the answer that holds the id of what
    the request makes; "" where the path names the resource, or there is none."""

    action: str
    role: str
    method: str
    route: str
    parameters: Mapping[str, str]
    about: str = ""
    key_digest: str | None = None

    def handled(self, done: Any, events: Sequence[Envelope], service: str, at: datetime) -> RequestHandled:
        """``done`` is what the request came to (a ``Done``), ``events`` what follows from it."""
        made = getattr(done.value, self.about, None) if self.about else None
        return RequestHandled(
            service=service,
            action=self.action,
            role=self.role,
            method=self.method,
            route=self.route,
            parameters=dict(self.parameters),
            resource=str(made) if made else resource_of(self.parameters),
            key_digest=self.key_digest,
            before=done.before,
            after=done.after,
            facts=tuple(Fact(type=each.type, subject=each.data.subject) for each in events[:MAX_FACTS]),
            more_facts=max(0, len(events) - MAX_FACTS),
            at=at,
        )


def resource_of(parameters: Mapping[str, str]) -> str | None:
    """The first parameter of a path names the resource, the others parts of it."""
    return next(iter(parameters.values()), None)
