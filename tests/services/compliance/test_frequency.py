"""At most so many marketing messages reach one contact on one channel in 24 hours, whoever sends them, however often it is tried."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.vocabulary import MessageClass, Purpose, Status
from services.outbound.limits.frequency import DAY_SECONDS, Frequency, reserve_slot
from tests.services.outbound.kit import CONTACT, NAME, Fake, first, message, permission, row, unreachable, world

CAP = 3
SETTINGS = Settings(stage="test", send_mode="LIVE", marketing_daily_cap=CAP)
MARKETING: dict[str, Any] = {"purpose": Purpose.MARKETING, "message_class": MessageClass.BULK}


async def _ask(w: World, n: int, **more: Any) -> None:
    await w.hear(message(w.clock.now(), f"m{n}", **{**MARKETING, **more}))


async def test_what_is_above_the_cap_waits_until_the_oldest_is_a_day_old() -> None:
    fake = Fake()
    async with world(fake, settings=SETTINGS) as w:
        await w.hear(permission(w.clock.now(), zone="UTC"))
        for n in range(CAP + 1):
            await _ask(w, n)
            w.clock.advance(60)
        assert sorted(fake.accepted) == ["m0", "m1", "m2"]
        waiting = await row(w, "m3")
        assert (waiting.status, waiting.error_code) == (Status.DEFERRED, "frequency_capped")
        await w.advance(DAY_SECONDS - 1800, step=3600)
        await w.hear(permission(w.clock.now(), 2, zone="UTC"))
        for _ in range(30):
            await w.advance(60)
            await w.tick(NAME)
        assert fake.accepted["m3"] == 1


async def test_an_attempt_that_was_not_sent_keeps_its_place_and_takes_no_second() -> None:
    fake = Fake(first(unreachable, times=2))
    async with world(fake, settings=SETTINGS) as w:
        await w.hear(permission(w.clock.now(), zone="UTC"))
        for n in range(CAP):
            await _ask(w, n)
        await w.advance(120, step=1)
        assert sorted(fake.accepted) == ["m0", "m1", "m2"]


async def test_what_is_no_marketing_is_not_counted() -> None:
    fake = Fake()
    async with world(fake, settings=SETTINGS) as w:
        await w.hear(permission(w.clock.now(), zone="UTC"))
        for n in range(CAP + 3):
            await _ask(w, n, purpose=Purpose.SERVICE)
        assert len(fake.accepted) == CAP + 3
        assert await w.row(NAME, Frequency, CONTACT) is None


async def test_a_contact_who_has_had_enough_does_not_hold_up_the_others() -> None:
    fake = Fake()
    async with world(fake, settings=SETTINGS) as w:
        await w.hear(
            permission(w.clock.now(), zone="UTC"),
            permission(w.clock.now(), contact_id="other", address="+12025550144", zone="UTC"),
        )
        for n in range(CAP + 2):
            await _ask(w, n)
        await _ask(w, 9, contact_id="other")
        assert fake.accepted["m9"] == 1
        assert [said.status for said in w.said(DeliveryChanged) if said.message_id == "m9"] == [Status.SENT]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.lists(st.integers(0, 20 * 3600), min_size=1, max_size=25))
def test_no_day_ever_holds_more_than_the_cap_with_many_workers_at_once(cap: int, waits: list[int]) -> None:
    async def story() -> None:
        async with world(Fake()) as w:
            taken: list[float] = []
            for round, wait in enumerate(waits):
                w.clock.advance(wait)
                contexts = [w.runtime.context(w.service(NAME)) for _ in range(4)]
                asked = (reserve_slot(CONTACT, f"{round}-{n}", cap, ctx) for n, ctx in enumerate(contexts))
                taken += [
                    w.clock.now().timestamp() for until in await asyncio.gather(*asked) if until.not_before is None
                ]
            for at in taken:
                assert sum(at - DAY_SECONDS < other <= at for other in taken) <= cap

    asyncio.run(story())
