"""The general behaviour of the simulated carriers: delays, loss, duplication, rates. It can be changed while running."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from libs.simulator.errors import ControlError


@dataclass(slots=True)
class Behaviour:
    """Settings of the simulated carriers (GET/PUT/PATCH /control/behaviour)."""

    delay_ms: list[float] = field(default_factory=lambda: [50.0, 250.0])
    """[min, max] between the events of a message (sent, delivered, read ...)."""
    duplicate: float = 0.0
    """0..1: probability that an event is published twice; 2 and more: every event is published that many times."""
    shuffle: bool = False
    """Events of one message are published in random order."""
    loss: float = 0.0
    """Share of events that are never published."""
    read_share: float = 1.0
    """Share of delivered messages that are read (WhatsApp, RCS) or opened (email)."""
    click_share: float = 0.0
    """Share of opened emails whose first link is clicked."""
    fail_share: float = 0.0
    """Share of accepted messages that fail afterwards (WhatsApp 131000, SMS TEXT_UNREACHABLE, email Transient bounce)."""
    latency_ms: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """[min, max] before a provider response is sent."""
    throttle: dict[str, float] = field(default_factory=dict)
    """Requests per second and service ("socialmessaging", ..., "*" for each); beyond it the throttling error."""
    throughput: float | None = None
    """WhatsApp messages per second and number; beyond it `failed` 130429. Meta: 80."""
    pair_rate: bool = False
    """WhatsApp 1 message per 6 s and pair with a burst of 45; beyond it `failed` 131056."""
    echo_callback_data: bool = True
    """Whether statuses carry `biz_opaque_callback_data` (not verified for AWS; test both)."""
    envelope_message_id: str = "api"
    """`api`: status envelopes carry the messageId of the response; `random`: another UUID."""
    always_open_window: bool = False
    """True: free-form WhatsApp messages are delivered outside the 24 h window too."""
    sync_template_errors: bool = False
    """True: template errors refuse the request (InvalidParametersException) instead of a `failed` status."""
    template_review: str = "approve"
    """What happens to a new template after delay_ms: approve, reject or hold."""
    sms_receipts: str = "delivered"
    """`delivered`: handset receipts; `successful`: carriers that only confirm acceptance."""
    pool_prefers_rcs: bool = False
    """True: text to a pool with an RCS agent is delivered by the agent (the origination of its TEXT_* events)."""
    sandbox: bool = False
    """SMS and email sandbox: only verified destinations."""
    hang_s: float = 120.0
    """How long `hang` faults hold a connection, in seconds."""

    def patch(self, changes: dict[str, Any]) -> None:
        """Apply several changes or none; raises ControlError naming the first invalid field."""
        checked = {name: _checked(name, value) for name, value in changes.items()}
        for name, value in checked.items():
            setattr(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _number(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ControlError(name, f"must be a number from {low:g} to {high:g}")
    return float(value)


def _range(name: str, value: Any) -> list[float]:
    pair = [value, value] if isinstance(value, int | float) else value
    if not isinstance(pair, list) or len(pair) != 2:
        raise ControlError(name, "must be milliseconds, one number or [min, max]")
    low, high = (_number(name, item, 0, 86_400_000) for item in pair)
    if low > high:
        raise ControlError(name, "min must not exceed max")
    return [low, high]


def _share(name: str, value: Any) -> float:
    return _number(name, value, 0, 1)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ControlError(name, "must be true or false")
    return value


def _choice(*allowed: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in allowed:
            raise ControlError(name, f"must be one of {', '.join(allowed)}")
        return str(value)

    return check


def _rates(name: str, value: Any) -> dict[str, float]:
    """`{"rate": 80}` for every service, or `{"socialmessaging": 80}`; null or {} for no limit."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ControlError(name, 'must be an object such as {"rate": 80} or {"socialmessaging": 80}')
    known = {"rate": "*", "*": "*"} | {s: s for s in (*SERVICES, GRAPH)}
    for key in value:
        if key not in known:
            raise ControlError(f"{name}.{key}", f"must be rate or one of {', '.join((*SERVICES, GRAPH))}")
    return {known[k]: _number(f"{name}.{k}", v, 0.001, 1_000_000) for k, v in value.items() if v is not None}


def _optional_rate(name: str, value: Any) -> float | None:
    return None if value is None else _number(name, value, 0.001, 1_000_000)


SERVICES = ("socialmessaging", "pinpoint-sms-voice-v2", "sesv2")
GRAPH = "graph"
"""Meta's API: not an AWS service, but with the same rates and faults."""

_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "delay_ms": _range,
    "duplicate": lambda name, value: _number(name, value, 0, 1000),
    "shuffle": _flag,
    "loss": _share,
    "read_share": _share,
    "click_share": _share,
    "fail_share": _share,
    "latency_ms": _range,
    "throttle": _rates,
    "throughput": _optional_rate,
    "pair_rate": _flag,
    "echo_callback_data": _flag,
    "envelope_message_id": _choice("api", "random"),
    "always_open_window": _flag,
    "sync_template_errors": _flag,
    "template_review": _choice("approve", "reject", "hold"),
    "sms_receipts": _choice("delivered", "successful"),
    "pool_prefers_rcs": _flag,
    "sandbox": _flag,
    "hang_s": lambda name, value: _number(name, value, 0, 3600),
}


def _checked(name: str, value: Any) -> Any:
    check = _CHECKS.get(name)
    if check is None:
        known = ", ".join(f.name for f in fields(Behaviour))
        raise ControlError(name, f"is not a setting; known are {known}")
    return check(name, value)
