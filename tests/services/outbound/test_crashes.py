"""R2: the sender is killed before and after every await, and two workers meet at every pair of them; then the rest is
delivered until it settles. What must hold, whatever happened:

I1 every message ends in one recorded status, and that is said; I2 it is accepted once, but for recorded resends; I3 ``sent``
was accepted, ``failed`` was not; I4 who hears what was said, in any order, ends where the row stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from libs.common.declare.service import Service
from libs.common.handle.delivery import run_tick
from libs.common.handle.outbox import sweep_outbox
from libs.common.handle.receive import receive
from libs.common.handle.runtime import Runtime
from libs.common.testing.crash_points import (
    CrashingAdapter,
    Points,
    SimulatedCrash,
    crash_at_every_point,
    interleave_every_pair,
)
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.events.messages import MessageConfirmed
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.vocabulary import RANK, MessageClass, Status
from services.outbound.contract import Outcome, Request
from services.outbound.ledger.model import Delivery
from tests.services.outbound.kit import (
    NAME,
    Behaviour,
    Fake,
    accepts,
    fake_sender,
    first,
    loses_answer,
    message,
    permission,
    refuses,
    unreachable,
    world,
)

#: Past the visibility of a message (30 s) and a claim (30 s); a sweep each time.
STEP = 31
ENDS = {Status.SENT, Status.FAILED, Status.EXPIRED, Status.SUPPRESSED, Status.UNKNOWN}
BEHAVIOURS = {
    "accepted": accepts,
    "answer-lost": first(loses_answer),
    "not-sent-at-first": first(unreachable),
    "refused": refuses,
    "answer-lost-then-refused": first(loses_answer, then=refuses),
    "answer-lost-then-not-sent": first(loses_answer, then=unreachable),
}
#: What is resent by its class meets everything; bulk, which never is, what makes a difference to it.
SCENES = [
    *(pytest.param(MessageClass.OTP, behaviour, id=f"otp-{name}") for name, behaviour in BEHAVIOURS.items()),
    pytest.param(MessageClass.TRANSACTIONAL, BEHAVIOURS["answer-lost"], id="transactional-answer-lost"),
    *(
        pytest.param(MessageClass.BULK, BEHAVIOURS[name], id=f"bulk-{name}")
        for name in ("accepted", "answer-lost", "not-sent-at-first")
    ),
]


class Process:
    """One worker of the sender: its own memory, the common store and bus, and points at which it may die."""

    def __init__(self, w: World, fake: Fake, points: Points | None = None) -> None:
        self.points = points or Points()
        self.world = w
        self.service: Service = fake_sender(_Remote(fake, self.points))
        store, bus = CrashingAdapter(w.store, self.points), CrashingAdapter(w.bus, self.points)
        self.runtime = Runtime(w.settings, store, bus, w.clock, w.aws)  # type: ignore[arg-type]

    async def settle(self) -> None:
        """Take what can be seen, one at a time, until the queues are quiet."""
        busy = True
        while busy:
            busy = False
            for spec in self.world.topology.queues:
                if spec.service == NAME:
                    for record in await self.runtime.bus.receive(spec.name, 1, 0):
                        await receive(self.runtime, self.service, record)
                        busy = True

    async def live(self, rounds: int) -> None:
        for _ in range(rounds):
            await self.settle()
            for every in self.service.every:
                await run_tick(self.runtime, self.service, every)
            await sweep_outbox(self.runtime, self.service)
            await self.settle()
            self.world.clock.advance(STEP)


class _Remote(Fake):
    """The provider, reached over a point."""

    def __init__(self, fake: Fake, points: Points) -> None:
        super().__init__(fake.behaviour)
        self.accepted, self.asked = fake.accepted, fake.asked
        self._points = points

    async def send(self, request: Request, client: object) -> Outcome:
        fake_send = super().send
        return await self._points.through("provider.send", lambda: fake_send(request, client))


async def source_queue(process: Process, work: Callable[[Process], Awaitable[None]]) -> None:
    try:
        await work(process)
    except SimulatedCrash:
        assert process.points.dead


async def begin(w: World, message_class: MessageClass, copies: int = 1) -> None:
    await w.bus.publish([w.envelope(permission(w.clock.now()))])
    await Process(w, Fake()).settle()
    ends = w.clock.now() + timedelta(minutes=4)
    envelope = w.envelope(message(w.clock.now(), message_class=message_class, expires_at=ends))
    for _ in range(copies):
        await w.bus.publish([envelope])


async def check(w: World, fake: Fake, message_class: MessageClass) -> None:
    """Let the others finish, and a receipt come where one is due; then the four invariants."""
    others = Process(w, fake)
    for _ in range(20):
        await others.live(1)
        found = await w.row(NAME, Delivery, "m1")
        if found and found.open is None and w.bus.wakes() is None:
            break
    assert found is not None, "I1: lost"
    if found.status is Status.UNCERTAIN:
        assert message_class is MessageClass.BULK
        went = fake.accepted["m1"] > 0
        heard = MessageConfirmed(
            message_id="m1", channel=Channel.WHATSAPP, status=Status.SENT if went else Status.FAILED, at=w.clock.now()
        )
        await w.bus.publish([w.envelope(heard)])
        await Process(w, fake).settle()
        found = await w.row(NAME, Delivery, "m1")
        assert found is not None
    else:
        shown = Status.QUEUED
        for said in w.said(DeliveryChanged):
            shown = said.status if RANK[said.status] > RANK[shown] else shown
        assert shown is found.status, "I4: what was said is not where the row stands"
    accepted = fake.accepted["m1"]
    assert found.status in ENDS, "I1: no end"
    assert found.open is None
    assert all(not w.bus.peek(spec.name) for spec in w.topology.queues if spec.service == NAME), "I1: still queued"
    assert not w.letters()
    assert accepted <= 1 + found.resends + found.ordered, "I2: accepted twice without a decision"
    assert accepted <= 1 or message_class is not MessageClass.BULK, "I2"
    assert found.status is not Status.SENT or accepted, "I3: sent without an acceptance"
    unsent = found.status in (Status.FAILED, Status.EXPIRED, Status.SUPPRESSED)
    assert not (unsent and accepted), f"I3: {found.status} though accepted"


@pytest.mark.parametrize(("message_class", "behaviour"), SCENES)
async def test_every_crash(
    message_class: MessageClass, behaviour: Behaviour, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story(points: Points) -> None:
        fake = Fake(behaviour)
        async with world(fake, times=1) as w:
            await begin(w, message_class)
            await source_queue(Process(w, fake, points), lambda process: process.live(4))
            await check(w, fake, message_class)

    coverage = await crash_at_every_point(story)
    with capsys.disabled():
        print(f"\n  {message_class}: {coverage}")
    assert coverage.covered == coverage.points
    assert {"MemoryStore.write", "provider.send", "_Watched.publish", "_Watched.ack"} <= set(coverage.names)


@pytest.mark.parametrize("gap", [0, STEP], ids=["at-once", "after-the-deadline"])
@pytest.mark.parametrize("message_class", [MessageClass.OTP, MessageClass.BULK])
async def test_every_pair(message_class: MessageClass, gap: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Two workers and two copies. The first stands still before each of its points, also past the deadline of its claim,
    while the second works and dies; then the first goes on as if nothing had been."""

    async def story(one: Points, two: Points) -> None:
        fake = Fake()
        async with world(fake, times=1) as w:
            await begin(w, message_class, copies=2)
            zombie = asyncio.create_task(source_queue(Process(w, fake, one), lambda process: process.settle()))
            held = asyncio.create_task(one.held.wait())
            await asyncio.wait({zombie, held}, return_when=asyncio.FIRST_COMPLETED)
            w.clock.advance(gap)
            await source_queue(Process(w, fake, two), lambda process: process.settle())
            one.release()
            await zombie
            held.cancel()
            await check(w, fake, message_class)

    coverage = await interleave_every_pair(story)
    with capsys.disabled():
        print(f"\n  two workers, {message_class}, {gap} s: {coverage}")
    assert coverage.covered == coverage.points
