"""Runs the schedules of services. Several processes may run the same schedule at once."""

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
    """One endless task per schedule of the service, and one for the outbox sweep."""
    for every in service.every:
        work = partial(run_tick, runtime, service, every, lambda: stop.requested)
        yield _ticking(service, every.label(), every.seconds, work, stop)
    if service.uses_ledger():
        yield _ticking(service, OUTBOX_LABEL, OUTBOX_SECONDS, partial(sweep_outbox, runtime, service), stop)


async def _ticking(
    service: Service, label: str, seconds: float, work: Callable[[], Awaitable[int]], stop: ShutdownSignal
) -> None:
    """A failed run is logged and repeated at the next interval; jitter spreads the processes."""
    with structlog.contextvars.bound_contextvars(service=service.name, tick=label):
        while not stop.requested:
            await stop.sleep(seconds * (0.9 + 0.2 * _random()))
            if stop.requested:
                return
            try:
                await work()
            except Exception as error:
                log.error("tick failed", exc_info=error)
