"""A bus in memory for tests, with the semantics of SNS and SQS."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common.bus import dead_letters
from libs.common.bus.base import DeadLetter, Record
from libs.common.bus.batch_calls import EntryFailed
from libs.common.bus.encoding import pack
from libs.common.clock import Clock, monotonic, random_id
from libs.common.declare.event import Envelope
from libs.common.declare.names import Names
from libs.common.declare.topology import Topology
from libs.common.json_text import sendable

#: SNS and SQS: "The minimum size is one byte, the maximum 262,144 bytes", attributes included.
MAX_MESSAGE_BYTES = 262_144
#: SQS, *SendMessage*: #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.
_REFUSED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def refuse(body: str, attributes: dict[str, str]) -> None:
    """Raise the error of SQS for an invalid message."""
    if _REFUSED.search(body):
        raise EntryFailed("InvalidMessageContents", "a character outside the set that SQS takes")
    size = len(body.encode()) + sum(len(f"{k}{v}String".encode()) for k, v in attributes.items())
    if size > MAX_MESSAGE_BYTES:
        raise EntryFailed("InvalidParameterValue", f"{size} bytes; {MAX_MESSAGE_BYTES} are possible")


@dataclass
class _Message:
    id: str
    body: str
    attributes: dict[str, str]
    sent_at: datetime
    visible_at: datetime
    receive_count: int = 0
    first_received_at: datetime | None = None
    handle: str = ""


class MemoryBus:
    """Topics, filters, visibility, receive counts and dead letters, timed by the given clock. Each call lets other tasks
    run first, so tests see the interleavings of a network."""

    def __init__(self, topology: Topology, clock: Clock) -> None:
        self._names = Names(topology.prefix)
        self._clock = clock
        self._specs = {spec.name: spec for spec in topology.queues}
        self._topics = {
            topic.name: [s for s in topology.subscriptions if s.topic == topic.name] for topic in topology.topics
        }
        self._queues: dict[str, list[_Message]] = {
            name: [] for spec in topology.queues for name in (spec.name, spec.dlq)
        }
        #: The number of messages published to each topic.
        self.published: defaultdict[str, int] = defaultdict(int)

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        for topic in dict.fromkeys(envelope.data.topic() for envelope in envelopes):
            mine = [envelope for envelope in envelopes if envelope.data.topic() == topic]
            packed, refused = pack(mine)
            for message in packed:
                await self.publish_raw(self._names.topic(topic), message.body, message.attributes)
            if refused:
                raise refused[0][1]

    async def publish_raw(self, topic: str, body: str, attributes: dict[str, str] | None = None) -> None:
        """Put a body on a topic as a provider would."""
        await asyncio.sleep(0)
        had = attributes or {}
        self.published[topic] += 1
        for subscription in self._topics[topic]:
            if all(had.get(name) in values for name, values in subscription.filter.items()):
                self._send(subscription.queue, body, had, 0)

    async def receive(self, queue: str, maximum: int, wait: float) -> list[Record]:
        await asyncio.sleep(0)
        until = monotonic() + wait
        # Real time passes here even when the clock is a test's: another task may send, or move the clock.
        while not (found := self._take(queue, maximum)) and monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return found

    async def ack(self, record: Record) -> None:
        await asyncio.sleep(0)
        message = self._held(record)
        if message:
            self._queues[record.queue].remove(message)

    async def change_visibility(self, record: Record, seconds: float) -> None:
        await asyncio.sleep(0)
        message = self._held(record)
        if message:
            message.visible_at = self._clock.now() + timedelta(seconds=seconds)

    async def requeue(self, record: Record, body: str, seconds: float) -> None:
        await asyncio.sleep(0)
        # Tests deliver each record twice; if the copy of a deleted record were requeued too, requeued events would multiply.
        if self._held(record):
            self._send(record.queue, sendable(body), record.attributes, min(seconds, 900))
            await self.ack(record)

    async def dead_letter(self, record: Record, dead_letter: DeadLetter) -> None:
        await asyncio.sleep(0)
        self._send(self._specs[record.queue].dlq, dead_letters.to_body(dead_letter), record.attributes, 0)

    async def send(self, queue: str, body: str, attributes: dict[str, str]) -> None:
        await asyncio.sleep(0)
        self._send(queue, sendable(body), attributes, 0)

    async def depth(self, queue: str) -> int:
        await asyncio.sleep(0)
        return len(self._queues[queue])

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def peek(self, queue: str) -> list[Record]:
        """Everything on a queue (or dead-letter queue), invisible or not, without receiving it."""
        return [self._record(queue, message) for message in self._queues[queue]]

    def wakes(self) -> datetime | None:
        """When the next message of any consumed queue becomes visible (in the past: it is visible); None if all are empty."""
        return min((m.visible_at for name in self._specs for m in self._queues[name]), default=None)

    def _send(self, queue: str, body: str, attributes: dict[str, str], seconds: float) -> None:
        refuse(body, attributes)
        now = self._clock.now()
        self._queues[queue].append(_Message(random_id(), body, dict(attributes), now, now + timedelta(seconds=seconds)))

    def _take(self, queue: str, maximum: int) -> list[Record]:
        now = self._clock.now()
        spec = self._specs.get(queue)
        taken: list[Record] = []
        for message in list(self._queues[queue]):
            if len(taken) == maximum:
                break
            if message.visible_at > now:
                continue
            if spec and message.receive_count >= spec.max_receives:
                self._queues[queue].remove(message)
                self._send(spec.dlq, message.body, message.attributes, 0)
                continue
            message.receive_count += 1
            message.first_received_at = message.first_received_at or now
            message.handle = random_id()
            message.visible_at = now + timedelta(seconds=spec.visibility if spec else 30)
            taken.append(self._record(queue, message))
        return taken

    def _held(self, record: Record) -> _Message | None:
        """The message, if this is its latest receipt handle; an old one has no effect, as on SQS."""
        return next((m for m in self._queues[record.queue] if m.handle == record.handle and m.handle), None)

    @staticmethod
    def _record(queue: str, message: _Message) -> Record:
        return Record(
            queue=queue,
            id=message.id,
            body=message.body,
            attributes=dict(message.attributes),
            receive_count=message.receive_count,
            sent_at=message.sent_at,
            first_received_at=message.first_received_at,
            handle=message.handle,
        )
