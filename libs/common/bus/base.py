"""The contract of the bus: publish envelopes to topics; receive, acknowledge, hide, renew and bury records of queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from libs.common.declare.event import Envelope


@dataclass(frozen=True)
class Record:
    """One message as received from a queue. ``body`` is a CloudEvents object or batch (or, on a feed's queue, whatever
    the provider said); ``receive_count`` counts this delivery."""

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
    """What goes to a dead-letter queue: the whole record and why it died. ``text`` is redacted."""

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
        """Put them on their topics; returns once every one is durable, raises if any is not. Events published at about
        the same moment share requests, and events of one type and routing share a message."""

    async def receive(self, queue: str, maximum: int, wait: float) -> list[Record]:
        """Up to ``maximum`` (1–10) records, waiting up to ``wait`` seconds for the first; they are invisible for the queue's
        visibility time."""

    async def ack(self, record: Record) -> None:
        """Done with it."""

    async def change_visibility(self, record: Record, seconds: float) -> None:
        """Keep it invisible for that long from now (0: show it at once)."""

    async def requeue(self, record: Record, body: str, seconds: float) -> None:
        """Send ``body`` (the whole or the rest of the record) around again as a fresh message that shows up after
        ``seconds``, then ack the record: its receive count starts anew, for nothing failed. At most 900 s at once."""

    async def dead_letter(self, record: Record, dead_letter: DeadLetter) -> None:
        """Put the dead letter on the queue's dead-letter queue. Does not ack."""

    async def send(self, queue: str, body: str, attributes: dict[str, str]) -> None:
        """Put a body straight on one queue, past the topics: a replay concerns only the consumer that failed."""

    async def depth(self, queue: str) -> int:
        """About how many messages the queue holds: those that can be received, are delayed, or are invisible."""

    async def drain(self) -> None:
        """See through whatever is still on its way out (acks, publishes)."""
