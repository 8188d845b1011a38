"""Fault rules between a client and its provider.

The kinds that start with `accept_then` (and `half_body`, `bad_json`, `slow`) execute the request first: the
ledger has the accepted message although the client sees a failure. The others never reach the provider.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import asdict, dataclass
from typing import Any

from libs.simulator.behaviour import GRAPH, SERVICES
from libs.simulator.errors import ControlError

REFUSING = frozenset(
    {"outage_503", "error_500", "throttle_429", "reset_before", "hang", "error", "invalid_number", "entry_failure"}
)
"""Not accepted. `entry_failure` is for single entries of SendBulkEmail, which then have the status `code`."""
ACCEPTING = frozenset(
    {"accept_then_reset", "accept_then_500", "accept_then_503", "accept_then_hang", "half_body", "bad_json", "slow"}
)
"""Accepted, but the client gets no answer or a broken one."""
KINDS = REFUSING | ACCEPTING


@dataclass(slots=True)
class Fault:
    """A rule. None matches everything; `times` None means always; `skip` skips that many matching requests.

    `seconds` is the time of `hang`, `accept_then_hang` (None: behaviour.hang_s) and `slow` (None: 1 s).
    `code`, `message`, `reason` belong to `error`: any modelled exception of the service, or a code of Meta's.
    """

    id: str
    fault: str
    service: str | None = None
    operation: str | None = None
    to: str | None = None
    times: int | None = None
    skip: int = 0
    probability: float = 1.0
    seconds: float | None = None
    code: str | None = None
    message: str | None = None
    reason: str | None = None
    hits: int = 0

    def matches(self, service: str, operation: str, to: str | None) -> bool:
        return (
            (self.fault == "entry_failure") == operation.endswith(".entry")
            and self.service in (None, service)
            and self.operation in (None, operation.removesuffix(".entry"))
            and self.to in (None, to)
            and (self.times is None or self.hits < self.times)
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Faults:
    """The rules in force, oldest first: the first that matches and whose probability holds is applied."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(f"{seed}|faults")  # noqa: S311 - a simulation, not a secret
        self.rules: list[Fault] = []
        self.ids = itertools.count(1)

    def add(self, intent: dict[str, Any]) -> Fault:
        rule = Fault(f"f{next(self.ids)}", **_checked(intent))
        self.rules.append(rule)
        return rule

    def draw(self, service: str, operation: str, to: str | None) -> Fault | None:
        for rule in self.rules:
            if not rule.matches(service, operation, to):
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            if rule.probability >= 1 or self.random.random() < rule.probability:
                rule.hits += 1
                return rule
        return None

    def remove(self, fault_id: str | None) -> int:
        """Remove one rule, or all of them; returns their number."""
        before = len(self.rules)
        self.rules = [] if fault_id is None else [r for r in self.rules if r.id != fault_id]
        return before - len(self.rules)


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ControlError(name, "must be a string or null")
    return None if value in (None, "*") else str(value)


def _count(name: str, value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ControlError(name, "must be a whole number from 0 or null")
    return value


def _number(name: str, value: Any, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high:
        raise ControlError(name, f"must be a number from 0 to {high:g}")
    return float(value)


def _checked(intent: dict[str, Any]) -> dict[str, Any]:
    known = set(Fault.__dataclass_fields__) - {"id", "hits"}
    for name in intent:
        if name not in known:
            raise ControlError(name, f"is not a member of a fault; known are {', '.join(sorted(known))}")
    if intent.get("fault") not in KINDS:
        raise ControlError("fault", f"must be one of {', '.join(sorted(KINDS))}")
    checked: dict[str, Any] = {"fault": intent["fault"]}
    for name in ("service", "operation", "to", "code", "message", "reason"):
        checked[name] = _text(name, intent.get(name))
    if checked["service"] not in (None, *SERVICES, GRAPH):
        raise ControlError("service", f"must be one of {', '.join((*SERVICES, GRAPH))}, * or null")
    if checked["fault"] == "error" and not checked["code"]:
        raise ControlError("code", "is required for the fault error, such as AccessDeniedException")
    checked["times"] = _count("times", intent.get("times"))
    checked["skip"] = _count("skip", intent.get("skip")) or 0
    checked["probability"] = _number("probability", intent.get("probability", 1.0), 1)
    seconds = intent.get("seconds")
    checked["seconds"] = None if seconds is None else _number("seconds", seconds, 3600)
    return checked
