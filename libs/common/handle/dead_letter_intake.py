"""Reads dead letters from their queues and hands them to the service that stores them. A dead letter stays on its queue until it is stored."""

from __future__ import annotations

import structlog

from libs.common.bus import dead_letters
from libs.common.bus.base import Record
from libs.common.declare.names import Names
from libs.common.declare.service import Service
from libs.common.handle.delivery import deliver_dead_letter
from libs.common.handle.runtime import Runtime
from libs.common.observe.log import describe

MAX_RETRY_SECONDS = 300

log = structlog.get_logger()


async def receive_dead_letter(runtime: Runtime, service: Service, record: Record) -> bool:
    """True: every dead letter of the record is stored and the record is acknowledged. False: one failed, and the record is
    redelivered without limit. Raises only errors of the bus; then the record is redelivered too."""
    queue = Names(runtime.settings.prefix).source_queue(record.queue)
    try:
        for n, dead_letter in enumerate(dead_letters.of_record(record, queue)):
            await deliver_dead_letter(runtime, service, dead_letter, f"{record.id}#{n}")
    except Exception as error:
        log.error(
            "dead letter not stored", attempt=record.receive_count, error=type(error).__name__, why=describe(error)
        )
        await runtime.bus.change_visibility(record, min(MAX_RETRY_SECONDS, 2 ** min(record.receive_count, 10)))
        return False
    await runtime.bus.ack(record)
    return True
