"""What becomes of an event whose handling failed: one pure decision, the same on every host."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from libs.common.errors import Later, Malformed, Poison, UnknownVersion

BASE_SECONDS = 1.0
CAP_SECONDS = 300.0
#: SQS delays a message no longer; whoever waits longer goes around again.
LONGEST_RENEWAL = 900.0

_BURIED: dict[type[BaseException], str] = {Malformed: "malformed", UnknownVersion: "version", Poison: "rejected"}


@dataclass(frozen=True)
class Hide:
    """An attempt is spent; it shows up again after ``seconds``."""

    seconds: float


@dataclass(frozen=True)
class Renew:
    """No attempt is spent; it comes back as new after ``seconds``."""

    seconds: float


@dataclass(frozen=True)
class Bury:
    """To the dead letters. ``cause`` is malformed, version, rejected or exhausted."""

    cause: str


Plan = Hide | Renew | Bury


def plan(
    error: BaseException,
    receive_count: int,
    now: datetime,
    random: float,
    max_attempts: int,
    braked: bool = False,
) -> Plan:
    """``random`` is drawn from [0, 1), once for a whole record. While the consumer is ``braked`` nothing is buried: when
    everything fails, the fault is more likely ours than the events'."""
    if isinstance(error, Later):
        return Renew(min(LONGEST_RENEWAL, max(0.0, (error.until - now).total_seconds())))
    cause = next((cause for kind, cause in _BURIED.items() if isinstance(error, kind)), None)
    if cause is None and receive_count >= max_attempts:
        cause = "exhausted"
    if cause is not None and not braked:
        return Bury(cause)
    return Hide(random * min(CAP_SECONDS, BASE_SECONDS * 2 ** min(receive_count - 1, 30)))
