"""What services do every so often, in whatever process works for them; several at once do no harm."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import structlog

from libs.common.declare.ledger import OUTBOX_LABEL, OUTBOX_SECONDS
from libs.common.declare.service import Service
from libs.common.handle.delivery import run_tick
from libs.common.handle.outbox import sweep_outbox
from libs.common.handle.runtime import Runtime
from libs.common.hosts.shutdown import ShutdownSignal

log = structlog.get_logger()
_random = random.SystemRandom().random


def ticks(runtime: Runtime, service: Service, stop: ShutdownSignal) -> Iterator[Coroutine[Any, Any, None]]:
    """One endless task for each ``every`` of the service, and one that sweeps its outbox."""
    for every in service.every:
        work = partial(run_tick, runtime, service, every, lambda: stop.requested)
        yield _ticking(service, every.label(), every.seconds, work, stop)
    if service.uses_ledger():
        yield _ticking(service, OUTBOX_LABEL, OUTBOX_SECONDS, partial(sweep_outbox, runtime, service), stop)


async def _ticking(
    service: Service, label: str, seconds: float, work: Callable[[], Awaitable[int]], stop: ShutdownSignal
) -> None:
    """One that fails is logged and comes again; processes drift apart by jitter."""
    with structlog.contextvars.bound_contextvars(service=service.name, tick=label):
        while not stop.requested:
            await stop.sleep(seconds * (0.9 + 0.2 * _random()))
            if stop.requested:
                return
            try:
                await work()
            except Exception as error:
                log.error("tick failed", exc_info=error)
