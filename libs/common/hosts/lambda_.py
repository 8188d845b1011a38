"""The Lambda host: ``handler`` takes events of SQS event source mappings (with ``ReportBatchItemFailures``), of SNS topics that
the function itself is subscribed to, and of schedules (``{"tick": "<schedule name>"}``). ``WECARE_SERVICES`` names the services
of the function, by commas.

The container keeps one event loop and one set of connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from libs.common.bus.base import Record
from libs.common.bus.sns_sqs import SnsSqsBus, moment
from libs.common.declare.discover import consumed, discover
from libs.common.declare.names import Names
from libs.common.declare.service import Service
from libs.common.declare.topology import schedules_of, subscriptions_of
from libs.common.handle.consumer_breaker import ConsumerBreaker
from libs.common.handle.delivery import run_tick
from libs.common.handle.outbox import sweep_outbox
from libs.common.handle.receive import receive
from libs.common.handle.runtime import Runtime, aws_runtime
from libs.common.hosts.output import configure_output
from libs.common.settings import Settings, settings

log = structlog.get_logger()
_loop: asyncio.AbstractEventLoop | None = None
_host: LambdaHost | None = None


class LambdaHost:
    """The state of one container."""

    def __init__(self, runtime: Runtime, services: list[Service]) -> None:
        named = {service.name: service for service in services}
        self._runtime = runtime
        self._services = services
        self._queues = {spec.name: named[spec.service] for spec in consumed(services, runtime.settings.prefix)}
        self._breakers = {name: ConsumerBreaker() for name in self._queues}
        names = Names(runtime.settings.prefix)
        self._subscriptions = [sub for service in services for sub in subscriptions_of(names, service)]

    async def answer(self, event: dict[str, Any]) -> dict[str, Any]:
        """Handle any kind of event. (AWS, "Invoking Lambda functions with Amazon SNS notifications": one source an event.)"""
        if "tick" in event:
            return await self.tick(event["tick"])
        from_sns = any(raw.get("EventSource") == "aws:sns" for raw in event["Records"])
        return await (self.notifications(event) if from_sns else self.records(event))

    async def records(self, event: dict[str, Any]) -> dict[str, Any]:
        """Handle a batch of a queue; returns the messages that must be redelivered."""
        back = await self._handle([record_of(raw) for raw in event["Records"]])
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in back]}

    async def notifications(self, event: dict[str, Any]) -> dict[str, Any]:
        """Handle an SNS notification as if it came from the subscribed queues: deferred events are requeued there, and dead
        letters go to their dead-letter queues. SNS has no partial batch response, so this raises RuntimeError if a record
        must be redelivered: Lambda then invokes the function again with all records. Raises LookupError for a topic without a queue here."""
        back = await self._handle([record for raw in event["Records"] for record in self._fed(raw["Sns"])])
        if back:
            raise RuntimeError(f"to come again: {', '.join(back)}")
        return {}

    def _fed(self, notification: dict[str, Any]) -> list[Record]:
        """The notification as one record per subscribed queue whose filter matches."""
        topic, had = notification["TopicArn"].rsplit(":", 1)[1], notification.get("MessageAttributes") or {}
        subscriptions = [sub for sub in self._subscriptions if sub.topic == topic]
        if not subscriptions:
            known = ", ".join(sorted({sub.topic for sub in self._subscriptions}))
            raise LookupError(f"the topic {topic} feeds no queue of this function's services; these do: {known}")
        attributes = {name: each["Value"] for name, each in had.items() if each.get("Type") == "String"}
        at = datetime.fromisoformat(notification["Timestamp"])
        return [
            Record(
                sub.queue,
                notification["MessageId"],
                notification["Message"],
                attributes,
                sent_at=at,
                first_received_at=at,
            )
            for sub in subscriptions
            if all(attributes.get(name) in values for name, values in sub.filter.items())
        ]

    async def _handle(self, records: Sequence[Record]) -> list[str]:
        """The ids of the records that must be redelivered."""
        done = await asyncio.gather(*(self._one(record) for record in records))
        await self._runtime.bus.drain()
        return [record.id for record, well in zip(records, done, strict=True) if not well]

    async def _one(self, record: Record) -> bool:
        """While nearly everything fails nothing is dead-lettered. Lambda controls the polling, so each record is a probe; the
        visibility timeout of a failed one grows each time."""
        breaker = self._breakers[record.queue]
        try:
            return await receive(self._runtime, self._queues[record.queue], record, breaker)
        except Exception as error:
            log.error("record not settled", queue=record.queue, record=record.id, exc_info=error)
            return False
        finally:
            if breaker.open:
                log.error(
                    "consumer breaker open: nearly everything fails; dead-lettering nothing",
                    queue=record.queue,
                    why=breaker.why,
                )

    async def tick(self, name: str) -> dict[str, Any]:
        """Run one schedule, and sweep the outbox of its service. Raises what the tick raises."""
        names = Names(self._runtime.settings.prefix)
        for service in self._services:
            if name not in {spec.name for spec in schedules_of(names, service)}:
                continue
            done = 0
            for every in service.every:
                if name == names.schedule(service.name, every.label()):
                    done = await run_tick(self._runtime, service, every)
            return {"done": done, "swept": await sweep_outbox(self._runtime, service)}
        raise LookupError(f"no schedule {name} here")


def record_of(raw: dict[str, Any]) -> Record:
    """A record in the format of an event source mapping."""
    system = raw["attributes"]
    typed = raw.get("messageAttributes", {})
    return Record(
        queue=raw["eventSourceARN"].rsplit(":", 1)[1],
        id=raw["messageId"],
        body=raw["body"],
        attributes={name: value["stringValue"] for name, value in typed.items() if value.get("stringValue")},
        receive_count=int(system["ApproximateReceiveCount"]),
        sent_at=moment(system.get("SentTimestamp")),
        first_received_at=moment(system.get("ApproximateFirstReceiveTimestamp")),
        handle=raw["receiptHandle"],
    )


async def _open(wanted: Settings) -> LambdaHost:
    configure_output(wanted)
    services = discover([name for name in wanted.services.split(",") if name])
    runtime = await AsyncExitStack().enter_async_context(aws_runtime(wanted, services))
    # Lambda deletes every message that is not reported as failed.
    return LambdaHost(replace(runtime, bus=SnsSqsBus(runtime.aws, wanted.prefix, acks=False)), services)


async def _answer(event: dict[str, Any]) -> dict[str, Any]:
    global _host
    _host = _host or await _open(settings())
    return await _host.answer(event)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The entry point."""
    global _loop
    _loop = _loop or asyncio.new_event_loop()
    return _loop.run_until_complete(_answer(event))
