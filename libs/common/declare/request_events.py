"""Events that the kit publishes about requests: a mutation was accepted; a request was refused by role.

They contain names, ids and small values only: never a body, an address or a token. Consumers need not protect them.
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

#: The maximum number of facts that are listed; further ones are counted. A request may discard ninety dead letters at once.
MAX_FACTS = 10
MAX_VALUE_LENGTH = 120
_ID = re.compile(rf"[\w.:#~-]{{1,{MAX_VALUE_LENGTH}}}")


class Fact(Part):
    """An event that a request led to: its type and its subject."""

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
    #: The declared path, and its parameters (ids and enum values).
    route: str
    parameters: dict[str, str] = Field(default_factory=dict)
    #: The id of the resource, if there is exactly one.
    resource: str | None = None
    #: A digest of the Idempotency-Key; None if the client sent none.
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
    #: The caller's role (None if there is none) and the required role.
    role: str | None = None
    needs: str
    method: str
    route: str
    parameters: dict[str, str] = Field(default_factory=dict)
    resource: str | None = None
    #: Refusals of the same caller since the last published one; they were only counted.
    unsaid: int = 0
    at: Timestamp


def action_of(service: str, function: Callable[..., Any]) -> str:
    """The action name of a route."""
    return f"{service}.{function.__name__}"


def ids_in(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The path parameters that may be recorded: ids and enum values. A client can write anything there, also an address."""
    texts = {name: str(value) for name, value in parameters.items()}
    return {name: text for name, text in texts.items() if _ID.fullmatch(text) and redact(text) == text}


@dataclass(frozen=True)
class RequestFacts:
    """The recordable facts of a request. ``about`` names the attribute of the answer that holds the id of the created
    resource; "" if the path names the resource, or there is none."""

    action: str
    role: str
    method: str
    route: str
    parameters: Mapping[str, str]
    about: str = ""
    key_digest: str | None = None

    def handled(self, done: Any, events: Sequence[Envelope], service: str, at: datetime) -> RequestHandled:
        """``done`` is the result of the request (a ``Done``), ``events`` are the events that follow."""
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
    """The first path parameter identifies the resource, the others parts of it."""
    return next(iter(parameters.values()), None)
