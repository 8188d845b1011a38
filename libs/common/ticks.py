"""What services do every so often, in whatever process works for them; several at once do no harm."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import structlog

from libs.common.delivery import run_tick
from libs.common.ledger import OUTBOX_LABEL, OUTBOX_SECONDS
from libs.common.outbox import sweep_outbox
from libs.common.runtime import Runtime
from libs.common.service import Service
from libs.common.stop import Stop

log = structlog.get_logger()
_draw = random.SystemRandom().random


def ticks(runtime: Runtime, service: Service, stop: Stop) -> Iterator[Coroutine[Any, Any, None]]:
    """One endless task for each ``every`` of the service, and one that sweeps its outbox."""
    for every in service.every:
        work = partial(run_tick, runtime, service, every, lambda: stop.asked)
        yield _ticking(service, every.label(), every.seconds, work, stop)
    if service.uses_ledger():
        yield _ticking(service, OUTBOX_LABEL, OUTBOX_SECONDS, partial(sweep_outbox, runtime, service), stop)


async def _ticking(
    service: Service, label: str, seconds: float, work: Callable[[], Awaitable[int]], stop: Stop
) -> None:
    """One that fails is logged and comes again; processes drift apart by jitter."""
    with structlog.contextvars.bound_contextvars(service=service.name, tick=label):
        while not stop.asked:
            await stop.sleep(seconds * (0.9 + 0.2 * _draw()))
            if stop.asked:
                return
            try:
                await work()
            except Exception as error:
                log.error("tick failed", exc_info=error)
