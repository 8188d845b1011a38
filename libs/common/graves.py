"""What lies on a dead-letter queue, on its way to the service that keeps it. It stays on the queue until it is kept."""

from __future__ import annotations

import structlog

from libs.common.bus import letters
from libs.common.bus.base import Record
from libs.common.delivery import deliver_letter
from libs.common.log import describe
from libs.common.names import Names
from libs.common.runtime import Runtime
from libs.common.service import Service

LONGEST_HIDE = 300

log = structlog.get_logger()


async def receive_letter(runtime: Runtime, service: Service, record: Record) -> bool:
    """True: every letter of the record is kept and the record is off the queue. False: something failed and it comes back,
    as often as it takes. Raises only what the bus raises, and then it comes back too."""
    queue = Names(runtime.settings.prefix).alive(record.queue)
    try:
        for n, letter in enumerate(letters.of_record(record, queue)):
            await deliver_letter(runtime, service, letter, f"{record.id}#{n}")
    except Exception as error:
        log.error("letter not kept", attempt=record.receive_count, error=type(error).__name__, why=describe(error))
        await runtime.bus.hide(record, min(LONGEST_HIDE, 2 ** min(record.receive_count, 10)))
        return False
    await runtime.bus.ack(record)
    return True
