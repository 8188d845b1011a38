"""Decides whether a failed event is retried, requeued or dead-lettered. Pure, and the same on every host."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from libs.common.errors import Malformed, Poison, RetryLater, UnknownVersion

BASE_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 300.0
#: The maximum delay of an SQS message; an event that must wait longer is requeued again.
MAX_REQUEUE_SECONDS = 900.0

_NOT_RETRIED: dict[type[BaseException], str] = {Malformed: "malformed", UnknownVersion: "version", Poison: "rejected"}


@dataclass(frozen=True)
class RetryAfter:
    """Counts as an attempt; the message is visible again after ``seconds``."""

    seconds: float


@dataclass(frozen=True)
class Requeue:
    """Counts as no attempt; a new message with a delay of ``seconds``."""

    seconds: float


@dataclass(frozen=True)
class MoveToDLQ:
    """Move to the dead-letter queue. ``cause`` is malformed, version, rejected or exhausted."""

    cause: str


Plan = RetryAfter | Requeue | MoveToDLQ


def plan(
    error: BaseException,
    receive_count: int,
    now: datetime,
    random: float,
    max_attempts: int,
    breaker_open: bool = False,
) -> Plan:
    """``random`` is in [0, 1), one for a whole record. While the consumer is ``breaker_open`` nothing is dead-lettered: when
    everything fails, the consumer is more likely at fault than the events."""
    if isinstance(error, RetryLater):
        return Requeue(min(MAX_REQUEUE_SECONDS, max(0.0, (error.until - now).total_seconds())))
    cause = next((cause for kind, cause in _NOT_RETRIED.items() if isinstance(error, kind)), None)
    if cause is None and receive_count >= max_attempts:
        cause = "exhausted"
    if cause is not None and not breaker_open:
        return MoveToDLQ(cause)
    return RetryAfter(random * min(MAX_BACKOFF_SECONDS, BASE_BACKOFF_SECONDS * 2 ** min(receive_count - 1, 30)))
