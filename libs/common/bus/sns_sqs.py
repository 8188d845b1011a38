"""The bus on AWS: publishes to SNS topics, consumes SQS queues. All calls are batched; see :class:`Batcher`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from libs.common.aws.batcher import Batcher
from libs.common.aws.clients import Aws
from libs.common.bus import dead_letters
from libs.common.bus.base import DeadLetter, Record
from libs.common.bus.batch_calls import Entry, EntryFailed, send_all
from libs.common.bus.encoding import pack
from libs.common.declare.event import Envelope
from libs.common.declare.names import Names
from libs.common.json_text import sendable

#: A batch may have 256 KiB with its attributes.
MAX_BATCH_BYTES = 250_000
SEND_LINGER_SECONDS = 0.005
#: Acknowledgements may wait: the record stays invisible for much longer.
ACK_LINGER_SECONDS = 0.1
#: Concurrent calls to one queue or topic that are not full.
MAX_CONCURRENT_CALLS = 2
#: Envelopes in one flush: ten messages of a hundred.
MAX_PUBLISH_EVENTS = 1000
MAX_POLL_SECONDS = 20
MAX_DELAY_SECONDS = 900
MAX_VISIBILITY_SECONDS = 12 * 3600
#: A deleted message, or one that another receive holds, needs no acknowledgement and no visibility change.
HANDLE_EXPIRED = frozenset({"ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"})
_DEPTHS = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
]
_SYSTEM_ATTRIBUTES = ["ApproximateReceiveCount", "SentTimestamp", "ApproximateFirstReceiveTimestamp"]


class SnsSqsBus:
    """``acks`` False: the host deletes finished messages (Lambda's event source mapping)."""

    def __init__(self, aws: Aws, prefix: str, *, acks: bool = True) -> None:
        self._aws = aws
        self._names = Names(prefix)
        self._acks = acks
        self._urls: dict[str, str] = {}
        self._arn_prefix = ""
        self._batchers: dict[tuple[str, str], Batcher[Any, None]] = {}

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        results = await asyncio.gather(
            *(self._publisher(self._names.topic(e.data.topic()), e.data.linger).do(e) for e in envelopes),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def receive(self, queue: str, maximum: int, wait: float) -> list[Record]:
        sqs = await self._aws.client("sqs")
        answer = await sqs.receive_message(
            QueueUrl=await self._url(queue),
            MaxNumberOfMessages=maximum,
            WaitTimeSeconds=min(MAX_POLL_SECONDS, round(wait)),
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=_SYSTEM_ATTRIBUTES,
        )
        return [_record(queue, message) for message in answer.get("Messages", [])]

    async def ack(self, record: Record) -> None:
        if self._acks:
            await self._batcher("delete_message_batch", record.queue, ACK_LINGER_SECONDS).do(
                {"ReceiptHandle": record.handle}
            )

    async def change_visibility(self, record: Record, seconds: float) -> None:
        if not record.handle:
            return  # delivered by a topic directly, without a queue
        entry = {"ReceiptHandle": record.handle, "VisibilityTimeout": min(MAX_VISIBILITY_SECONDS, round(seconds))}
        await self._batcher("change_message_visibility_batch", record.queue, ACK_LINGER_SECONDS).do(entry)

    async def requeue(self, record: Record, body: str, seconds: float) -> None:
        entry = {"DelaySeconds": min(MAX_DELAY_SECONDS, round(seconds)), **_message(sendable(body), record.attributes)}
        await self._batcher("send_message_batch", record.queue, SEND_LINGER_SECONDS).do(entry)
        await self.ack(record)

    async def dead_letter(self, record: Record, dead_letter: DeadLetter) -> None:
        entry = _message(dead_letters.to_body(dead_letter), record.attributes)
        await self._batcher("send_message_batch", self._names.dlq(record.queue), SEND_LINGER_SECONDS).do(entry)

    async def send(self, queue: str, body: str, attributes: dict[str, str]) -> None:
        await self._batcher("send_message_batch", queue, SEND_LINGER_SECONDS).do(_message(sendable(body), attributes))

    async def depth(self, queue: str) -> int:
        sqs = await self._aws.client("sqs")
        answer = await sqs.get_queue_attributes(QueueUrl=await self._url(queue), AttributeNames=_DEPTHS)
        return sum(int(count) for count in answer.get("Attributes", {}).values())

    async def drain(self) -> None:
        await asyncio.gather(*(batcher.drain() for batcher in list(self._batchers.values())))

    def _batcher(self, operation: str, queue: str, linger: float) -> Batcher[Any, None]:
        """One per operation and queue. Changes to one message keep their order."""

        async def send(entries: Sequence[Entry]) -> Sequence[BaseException | None]:
            sqs, url = await self._aws.client("sqs"), await self._url(queue)

            async def call(some: list[Entry]) -> dict[str, Any]:
                return dict(await getattr(sqs, operation)(QueueUrl=url, Entries=some))

            return await send_all(call, entries, HANDLE_EXPIRED if "ReceiptHandle" in entries[0] else frozenset())

        key = (operation, queue)
        if key not in self._batchers:
            self._batchers[key] = Batcher(
                send,
                maximum=10,
                linger=linger,
                concurrency=MAX_CONCURRENT_CALLS,
                key=_handle,
                weight=_weight,
                max_weight=MAX_BATCH_BYTES,
            )
        return self._batchers[key]

    def _publisher(self, topic: str, linger: float) -> Batcher[Any, None]:
        async def send(envelopes: Sequence[Envelope]) -> Sequence[BaseException | None]:
            return await self._publish(topic, envelopes)

        key = (f"publish {linger}", topic)
        if key not in self._batchers:
            self._batchers[key] = Batcher(
                send, maximum=MAX_PUBLISH_EVENTS, linger=linger, concurrency=MAX_CONCURRENT_CALLS
            )
        return self._batchers[key]

    async def _publish(self, topic: str, envelopes: Sequence[Envelope]) -> Sequence[BaseException | None]:
        """Events of one type and routing share a message, ten messages share a request; a failure is raised for exactly
        the events in the message. A message that is refused permanently is split first."""
        sns, arn = await self._aws.client("sns"), await self._arn(topic)
        packed, refused = pack(envelopes)

        async def call(some: list[Entry]) -> dict[str, Any]:
            return dict(await sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=some))

        entries = [_message(each.body, each.attributes, "Message") for each in packed]
        shares = _shares(entries, _weight)
        answers = await asyncio.gather(
            *(send_all(call, [entries[n] for n in share]) for share in shares), return_exceptions=True
        )
        apart: list[Envelope] = []
        became: dict[int, BaseException | None] = {id(envelope): error for envelope, error in refused}
        for share, answer in zip(shares, answers, strict=True):
            for at, n in enumerate(share):
                result = answer if isinstance(answer, BaseException) else answer[at]
                became.update((id(envelope), result) for envelope in packed[n].events)
                if isinstance(result, EntryFailed) and result.for_good and len(packed[n].events) > 1:
                    apart.extend(packed[n].events)
        alone = await asyncio.gather(*(self._publish(topic, [envelope]) for envelope in apart))
        became.update((id(envelope), each[0]) for envelope, each in zip(apart, alone, strict=True))
        return [became[id(envelope)] for envelope in envelopes]

    async def _url(self, queue: str) -> str:
        if queue not in self._urls:
            sqs = await self._aws.client("sqs")
            self._urls[queue] = (await sqs.get_queue_url(QueueName=queue))["QueueUrl"]
        return self._urls[queue]

    async def _arn(self, topic: str) -> str:
        """Computed, not looked up: needs no call per topic and no permission to list topics."""
        if not self._arn_prefix:
            me = await (await self._aws.client("sts")).get_caller_identity()
            sns = await self._aws.client("sns")
            partition = me["Arn"].split(":")[1]
            self._arn_prefix = f"arn:{partition}:sns:{sns.meta.region_name}:{me['Account']}:"
        return self._arn_prefix + topic


def _message(body: str, attributes: dict[str, str], name: str = "MessageBody") -> Entry:
    typed = {key: {"DataType": "String", "StringValue": value} for key, value in attributes.items() if value}
    return {name: body, "MessageAttributes": typed} if typed else {name: body}


def _weight(entry: Entry) -> int:
    body = entry.get("Message") or entry.get("MessageBody") or ""
    attributes = entry.get("MessageAttributes", {})
    return len(body.encode()) + sum(len(k) + len(v["StringValue"].encode()) + 6 for k, v in attributes.items())


def _handle(entry: Entry) -> str | None:
    return entry.get("ReceiptHandle")


def _shares(entries: Sequence[Entry], weigh: Callable[[Entry], int]) -> list[list[int]]:
    """Positions of the entries of each request: at most ten, within the size limit."""
    shares: list[list[int]] = []
    weight = 0
    for n, entry in enumerate(entries):
        cost = weigh(entry)
        if not shares or len(shares[-1]) == 10 or weight + cost > MAX_BATCH_BYTES:
            shares.append([])
            weight = 0
        shares[-1].append(n)
        weight += cost
    return shares


def _record(queue: str, message: dict[str, Any]) -> Record:
    system = message.get("Attributes", {})
    return Record(
        queue=queue,
        id=message["MessageId"],
        body=message["Body"],
        attributes={
            name: value["StringValue"]
            for name, value in message.get("MessageAttributes", {}).items()
            if "StringValue" in value
        },
        receive_count=int(system.get("ApproximateReceiveCount", 1)),
        sent_at=moment(system.get("SentTimestamp")),
        first_received_at=moment(system.get("ApproximateFirstReceiveTimestamp")),
        handle=message["ReceiptHandle"],
    )


def moment(milliseconds: str | None) -> datetime | None:
    """A time as SQS writes it."""
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None
