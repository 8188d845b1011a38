"""A code does not stand behind a bulk job: not in the queue, not at the rate of the sender (R22)."""

from __future__ import annotations

import asyncio

from libs.common.bus.memory import MemoryBus
from libs.common.clock import SystemClock
from libs.common.declare.event import Event, following, root_cause
from libs.common.declare.service import Service
from libs.common.declare.topology import topology
from libs.common.handle.runtime import Runtime
from libs.common.hosts.worker import Worker
from libs.common.settings import Settings
from libs.common.store.memory import MemoryStore
from libs.messaging.vocabulary import MessageClass
from services.outbound.contract import Outcome, Request
from services.outbound.limits.rates import Limits
from tests.services.outbound.kit import Fake, NoAws, fake_sender, message, permission

#: Fifteen seconds' worth of bulk at the sender's rate.
RATE, BULK, CODES = 40, 600, 10


async def test_codes_pass_hundreds_of_bulk_messages_that_wait() -> None:
    order: list[str] = []
    bulk_runs, codes_out = asyncio.Event(), asyncio.Event()

    async def notes(fake: Fake, request: Request) -> Outcome:
        order.append(request["id"])
        if len(order) == RATE:
            bulk_runs.set()
        if sum(name.startswith("otp") for name in order) == CODES:
            codes_out.set()
        return fake.accept(request)

    clock = SystemClock()
    service = fake_sender(Fake(notes), Limits(per_second=RATE))
    rest = Service("test", says=list({on.event for on in service.hears} - set(service.says)))
    settings = Settings(stage="test", send_mode="LIVE", concurrency=100)
    whole = topology([service, rest], settings.prefix)
    store = MemoryStore({spec.name: spec.table for spec in whole.tables})
    bus = MemoryBus(whole, clock)

    async def publish(*events: Event) -> None:
        await bus.publish(following(root_cause("test", str(events)), events, source="test", now=clock.now()))

    worker = Worker(Runtime(settings, store, bus, clock, NoAws()), [service])  # type: ignore[arg-type]
    running = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(60):
            await publish(permission(clock.now()))
            await publish(*(message(clock.now(), f"b{n}", MessageClass.BULK) for n in range(BULK)))
            await bulk_runs.wait()
            before = len(order)
            await publish(*(message(clock.now(), f"otp{n}", MessageClass.OTP) for n in range(CODES)))
            await codes_out.wait()
    finally:
        worker.stop()
        await running
    last_code = max(place for place, name in enumerate(order) if name.startswith("otp"))
    # Two seconds' worth at the most went before the last of them, and the job still waits.
    assert last_code - before <= 2 * RATE + CODES
    assert sum(name.startswith("b") for name in order) < BULK / 2
