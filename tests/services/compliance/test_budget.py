"""The WhatsApp portfolio's limit: different people outside their window in a moving day, never more, counted once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from libs.common.declare.service import Service
from libs.common.settings import Settings, read
from libs.common.store.ops import Written
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Template
from libs.messaging.events.outbound import BudgetCounted, BudgetNoticed, DeliveryChanged
from libs.messaging.vocabulary import MessageClass, Purpose, Status
from services.outbound.limits.budget import HOUR_SECONDS, WINDOW_HOURS, Budget, BudgetCount, BudgetMark
from services.outbound.limits.portfolios import Portfolios
from services.outbound.sending.channel_service import channel_service
from tests.services.outbound.kit import LIMITS, NAME, SENDER, Fake, NoAws, message, permission, row

CONTENT = Template(name="order_update", variables={"1": "a"})


def limited(limit: int) -> Settings:
    return Settings(stage="test", send_mode="LIVE", whatsapp_daily_recipients=limit)


class Town:
    """A sender with a budget, and people who have not written to us."""

    def __init__(self, limit: int, times: int = 2) -> None:
        self.fake = Fake()
        self.portfolios = Portfolios(Channel.WHATSAPP)
        self.budget = self.portfolios.of(SENDER, Settings())
        self.service: Service = channel_service(
            self.fake, LIMITS, needs=[], senders=lambda settings: [SENDER], portfolios=self.portfolios
        )
        self.world = World([self.service], settings=limited(limit), aws=NoAws(), times=times)  # type: ignore[arg-type]

    async def person(self, n: int, **facts: Any) -> None:
        reported = {"contact_id": f"c{n}", "address": f"+1202555{n:04}", "last_inbound_at": None, **facts}
        await self.world.hear(permission(self.world.clock.now(), **reported))

    async def send(self, key: str, n: int, message_class: MessageClass = MessageClass.BULK, **more: Any) -> None:
        facts = {"contact_id": f"c{n}", "content": CONTENT, **more}
        await self.world.hear(message(self.world.clock.now(), key, message_class, **facts))

    async def take(self, n: int, low: bool = False) -> bool:
        ctx = self.world.runtime.context(self.service)
        message_class = MessageClass.BULK if low else MessageClass.TRANSACTIONAL
        return await self.budget.take(f"c{n}", message_class, Purpose.SERVICE, ctx) is None


async def test_bulk_leaves_the_reserve_to_those_who_wait_for_a_code() -> None:
    town = Town(10)
    for n in range(11):
        await town.person(n)
    for n in range(10):
        await town.send(f"b{n}", n)
    assert len(town.fake.accepted) == 9
    waiting = await row(town.world, "b9")
    assert (waiting.status, waiting.error_code) == (Status.DEFERRED, "budget_exhausted")
    await town.send("otp", 10, MessageClass.OTP)
    assert town.fake.accepted["otp"] == 1


async def test_what_waits_goes_out_when_a_day_has_gone_by() -> None:
    town = Town(10)
    for n in range(10):
        await town.person(n)
        await town.send(f"b{n}", n)
    await town.world.advance(WINDOW_HOURS * HOUR_SECONDS - 1800, step=3600)
    for _ in range(60):
        await town.world.advance(60)
        await town.world.tick(NAME, "reconcile")
    assert town.fake.accepted["b9"] == 1


async def test_who_wrote_to_us_costs_nothing() -> None:
    town = Town(10)
    for n in range(20):
        await town.person(n, last_inbound_at=town.world.clock.now())
        await town.send(f"b{n}", n)
    assert len(town.fake.accepted) == 20
    assert await town.budget.used(town.world.runtime.context(town.service)) == 0


async def test_one_person_is_one_however_many_messages_and_hours() -> None:
    town = Town(10)
    ctx = town.world.runtime.context(town.service)
    for _ in range(48):
        assert await town.take(1)
        assert await town.budget.used(ctx) == 1
        town.world.clock.advance(HOUR_SECONDS)


async def test_a_full_day_still_takes_those_who_are_counted_already() -> None:
    town = Town(10)
    assert [await town.take(n) for n in range(12)] == [True] * 10 + [False] * 2
    town.world.clock.advance(3 * HOUR_SECONDS)
    assert [await town.take(n) for n in range(12)] == [True] * 10 + [False] * 2


@pytest.mark.parametrize("limit", [1, 7, 250, 2000, 2003])
async def test_many_workers_at_once_never_go_beyond_it_and_reach_it(limit: int) -> None:
    town = Town(limit)
    workers = [Budget(Channel.WHATSAPP) for _ in range(4)]
    ctx = town.world.runtime.context(town.service)

    async def one(n: int) -> bool:
        # Every person is asked for by two workers in the same moment.
        both = (workers[(n + w) % 4].take(f"c{n}", MessageClass.OTP, Purpose.SERVICE, ctx) for w in (0, 1))
        return None in await asyncio.gather(*both)

    took = sum(await asyncio.gather(*(one(n) for n in range(limit + 100))))
    assert took <= limit
    # What other workers hold for themselves is not lost, but not here.
    assert took >= limit - 4 * max(0, limit // 100)
    assert await town.budget.used(ctx) <= limit


async def test_a_worker_that_dies_between_two_writes_can_only_count_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """The write is made and its answer lost, at each write in turn; then the person is counted again."""
    for dies_at in range(1, 7):
        town = Town(10)
        ctx = town.world.runtime.context(town.service)
        assert await town.take(1)
        town.world.clock.advance(2 * HOUR_SECONDS)
        store, write, calls = town.world.store, town.world.store.write, Counter[str]()

        async def dying(op: Any, write: Any = write, calls: Counter[str] = calls, at: int = dies_at) -> Written:
            calls["n"] += 1
            written = await write(op)
            if calls["n"] == at:
                raise ConnectionError("the worker died")
            return written

        monkeypatch.setattr(store, "write", dying)
        for n in (1, 2):
            with suppress(ConnectionError):
                await town.take(n)
        monkeypatch.setattr(store, "write", write)
        assert await town.take(1)
        assert await town.take(2)
        assert 2 <= await town.budget.used(ctx) <= 4


async def test_no_limit_counts_nobody() -> None:
    town = Town(0)
    for n in range(5):
        assert await town.take(n)
    assert await town.world.row(NAME, BudgetCount, "default#0") is None


async def test_it_is_told_once_a_day_that_four_fifths_are_gone_and_once_that_all_is() -> None:
    town = Town(10)
    for n in range(7):
        await town.take(n)
    await town.world.tick(NAME, "budget")
    assert not town.world.said(BudgetNoticed)
    await town.take(7)
    await town.world.tick(NAME, "budget")
    await town.world.tick(NAME, "budget")
    assert [(said.percent, said.used, said.limit) for said in town.world.said(BudgetNoticed)] == [(80, 8, 10)]
    for n in (8, 9):
        await town.take(n)
    await town.world.tick(NAME, "budget")
    assert [said.percent for said in town.world.said(BudgetNoticed)] == [80, 100]


async def test_a_large_portfolio_is_spread_over_keys_and_takes_places_in_bunches() -> None:
    """No key may see more than 200 writes a second: at 1,000 new people a second there are 8 keys, 50 people to a write."""
    town = Town(100_000)
    writes = Counter[str]()
    store, write = town.world.store, town.world.store.write

    async def counted(op: Any) -> Written:
        row = getattr(op, "row", None) or getattr(op, "key", {})
        writes[row.get("id") or row["contactId"]] += 1
        return await write(op)

    store.write = counted  # type: ignore[method-assign]
    for n in range(1000):
        assert await town.take(n)
    assert max(writes.values()) <= 10
    assert sum(count for key, count in writes.items() if key.startswith("default#")) <= 30


async def test_a_dry_run_counts_nobody() -> None:
    town = Town(10)
    town.world.runtime.settings = Settings(stage="test", send_mode="DRY_RUN", whatsapp_daily_recipients=10)
    await town.person(1)
    await town.send("b1", 1)
    assert [said.status for said in town.world.said(DeliveryChanged)] == [Status.SENT]
    assert await town.world.row(NAME, BudgetCount, "default#0") is None


# -- several portfolios ------------------------------------------------------------------------------

OTHER, THIRD = "phone-number-id-2", "phone-number-id-3"
PORTFOLIOS = {"shop": {"limit": 5, "numbers": [OTHER, THIRD]}}


class Several(Town):
    """One number in no portfolio (10 people a day), two in one (5)."""

    def __init__(self) -> None:
        super().__init__(10)
        self.service = channel_service(
            self.fake, LIMITS, needs=[], senders=lambda settings: [SENDER, OTHER, THIRD], portfolios=self.portfolios
        )
        reported = {"WECARE_WHATSAPP_DAILY_RECIPIENTS": "10", "WECARE_WHATSAPP_PORTFOLIOS": json.dumps(PORTFOLIOS)}
        settings = read({"WECARE_STAGE": "test", "WECARE_SEND_MODE": "LIVE", **reported})
        self.world = World([self.service], settings=settings, aws=NoAws())  # type: ignore[arg-type]

    async def used(self, number: str) -> int:
        ctx = self.world.runtime.context(self.service)
        return await self.portfolios.of(number, ctx.settings).used(ctx)


async def test_numbers_of_one_portfolio_share_its_limit_and_no_other() -> None:
    town = Several()
    for n in range(9):
        await town.person(n)
        await town.send(f"a{n}", n)
        await town.send(f"b{n}", n, sender=(OTHER, THIRD)[n % 2])
    # A tenth of each is kept for codes.
    assert {key for key in town.fake.accepted if key[0] == "a"} == {f"a{n}" for n in range(9)}
    assert {key for key in town.fake.accepted if key[0] == "b"} == {f"b{n}" for n in range(4)}
    assert (await town.used(SENDER), await town.used(OTHER), await town.used(THIRD)) == (9, 4, 4)
    waiting = await row(town.world, "b4")
    assert (waiting.status, waiting.error_code) == (Status.DEFERRED, "budget_exhausted")


async def test_the_reserve_of_a_portfolio_is_for_its_own_codes() -> None:
    town = Several()
    for n in range(6):
        await town.person(n)
        await town.send(f"b{n}", n, sender=OTHER)
    await town.send("otp4", 4, MessageClass.OTP, sender=THIRD)
    await town.send("otp5", 5, MessageClass.OTP, sender=OTHER)
    assert (town.fake.accepted["otp4"], town.fake.accepted["otp5"]) == (1, 0)
    assert await town.used(SENDER) == 0


async def test_a_person_is_counted_once_in_each_portfolio_that_writes_to_them() -> None:
    town = Several()
    await town.person(1)
    for n, number in enumerate((SENDER, OTHER, THIRD, OTHER, SENDER)):
        await town.send(f"m{n}", 1, sender=number)
    assert (await town.used(SENDER), await town.used(OTHER)) == (1, 1)


async def test_the_default_keeps_its_rows_where_they_are() -> None:
    town = Several()
    for n, number in enumerate((SENDER, OTHER)):
        await town.person(n)
        await town.send(f"m{n}", n, sender=number)
    ids = ("default#0", "shop#0")
    assert [(await town.world.row(NAME, BudgetCount, each)) is not None for each in ids] == [True, True]
    marks = ("c0", "shop#c1", "c1", "default#c0")
    assert [(await town.world.row(NAME, BudgetMark, each)) is not None for each in marks] == [True, True, False, False]


async def test_each_portfolio_tells_for_itself_how_it_stands() -> None:
    town = Several()
    for n in range(4):
        await town.person(n)
        await town.send(f"b{n}", n, sender=OTHER)
    for _ in range(2):
        await town.world.tick(NAME, "budget")
    reported = [(said.portfolio, said.used, said.limit, said.left_for_bulk) for said in town.world.said(BudgetCounted)]
    assert reported == [("default", 0, 10, 9), ("shop", 4, 5, 0)]
    noticed = [(said.portfolio, said.percent, said.used, said.limit) for said in town.world.said(BudgetNoticed)]
    assert noticed == [("shop", 80, 4, 5)]
