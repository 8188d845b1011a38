"""The Lambda host: ``handler`` takes events of SQS event source mappings (with ``ReportBatchItemFailures``) and of schedules
(``{"tick": "<schedule name>"}``). ``WECARE_SERVICES`` names the services of the function, by commas.

One event loop and one set of connections live as long as the container.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import structlog

from libs.common.brake import Brake
from libs.common.bus.base import Record
from libs.common.bus.sns_sqs import SnsSqsBus, moment
from libs.common.delivery import run_tick, sweep_outbox
from libs.common.discover import consumed, discover
from libs.common.log import configure
from libs.common.receive import receive
from libs.common.runtime import Runtime, aws_runtime
from libs.common.service import Service
from libs.common.settings import Settings, settings

log = structlog.get_logger()
_loop: asyncio.AbstractEventLoop | None = None
_host: LambdaHost | None = None


class LambdaHost:
    """What one container works with."""

    def __init__(self, runtime: Runtime, services: list[Service]) -> None:
        named = {service.name: service for service in services}
        self._runtime = runtime
        self._services = services
        self._queues = {spec.name: named[spec.service] for spec in consumed(services, runtime.settings.prefix)}
        self._brakes = {name: Brake() for name in self._queues}

    async def records(self, event: dict[str, Any]) -> dict[str, Any]:
        """Handle a batch; answers which of its messages must come back."""
        records = [record_of(raw) for raw in event["Records"]]
        done = await asyncio.gather(*(self._one(record) for record in records))
        await self._runtime.bus.drain()
        back = [record.id for record, well in zip(records, done, strict=True) if not well]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in back]}

    async def _one(self, record: Record) -> bool:
        """While nearly everything fails nothing is buried here either. What is taken is Lambda's to say, so each record is a
        probe; one that fails is hidden for longer each time."""
        brake = self._brakes[record.queue]
        try:
            return await receive(self._runtime, self._queues[record.queue], record, brake)
        except Exception as error:
            log.error("record not settled", queue=record.queue, record=record.id, exc_info=error)
            return False
        finally:
            if brake.on:
                log.error("brake: nearly everything fails; burying nothing", queue=record.queue, why=brake.why)

    async def tick(self, name: str) -> dict[str, Any]:
        """Do what one schedule is for, and sweep the outbox of its service. Raises what the tick raises."""
        for service in self._services:
            for every in service.every:
                if name == f"{self._runtime.settings.prefix}-{service.name}-{every.label()}":
                    done = await run_tick(self._runtime, service, every)
                    await sweep_outbox(self._runtime, service)
                    return {"done": done}
        raise LookupError(f"no schedule {name} here")


def record_of(raw: dict[str, Any]) -> Record:
    """A record as the event source mapping writes it."""
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
    configure(wanted.log_level)
    services = discover([name for name in wanted.services.split(",") if name])
    runtime = await AsyncExitStack().enter_async_context(aws_runtime(wanted, services))
    # Lambda deletes what we do not name as failed.
    return LambdaHost(replace(runtime, bus=SnsSqsBus(runtime.aws, wanted.prefix, acks=False)), services)


async def _answer(event: dict[str, Any]) -> dict[str, Any]:
    global _host
    _host = _host or await _open(settings())
    return await (_host.tick(event["tick"]) if "tick" in event else _host.records(event))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The entry point."""
    global _loop
    _loop = _loop or asyncio.new_event_loop()
    return _loop.run_until_complete(_answer(event))
