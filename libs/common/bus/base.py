"""The contract of the bus: publish envelopes to topics; receive, acknowledge, requeue and
dead-letter records of queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from libs.common.declare.event import Envelope


@dataclass(frozen=True)
class Record:
    """One message as received from a queue. ``body`` is a CloudEvents object or batch (or, on a feed's queue, the
    provider's message); ``receive_count`` counts this delivery."""

    queue: str
    id: str
    body: str
    attributes: dict[str, str] = field(default_factory=dict)
    receive_count: int = 1
    sent_at: datetime | None = None
    first_received_at: datetime | None = None
    handle: str = ""


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter: the whole record and its cause. ``text`` is redacted."""

    cause: str
    exception: str
    text: str
    queue: str
    service: str
    handler: str
    build: str
    record: Record
    event_id: str | None = None
    event_type: str | None = None
    correlation_id: str | None = None
    died_at: datetime | None = None


class Bus(Protocol):
    """Names of topics and queues are physical."""

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Publish to the topics; returns once all are durable, raises if any is not. Events published at about
        the same time share requests, and events of one type and routing share a message."""

    async def receive(self, queue: str, maximum: int, wait: float) -> list[Record]:
        """Up to ``maximum`` (1–10) records, waiting up to ``wait`` seconds for the first; they are invisible for the queue's
        visibility time."""

    async def ack(self, record: Record) -> None:
        """Acknowledge (delete) the record."""

    async def change_visibility(self, record: Record, seconds: float) -> None:
        """Set the visibility timeout, from now (0: visible at once)."""

    async def requeue(self, record: Record, body: str, seconds: float) -> None:
        """Send ``body`` (the whole or the rest of the record) as a new message with a delay of ``seconds`` (at most 900),
        then acknowledge the record. The receive count of the new message starts at one."""

    async def dead_letter(self, record: Record, dead_letter: DeadLetter) -> None:
        """Send the dead letter to the queue's dead-letter queue. Does not acknowledge."""

    async def send(self, queue: str, body: str, attributes: dict[str, str]) -> None:
        """Send a body to one queue, not through a topic: a replay concerns only the consumer that failed."""

    async def depth(self, queue: str) -> int:
        """The approximate number of messages in the queue: visible, delayed and in flight."""

    async def drain(self) -> None:
        """Finish pending acknowledgements and publishes."""
