"""The plan tells who would have to wait: beyond the WhatsApp portfolio's budget, above the cap on marketing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from libs.messaging.channels import Channel
from libs.messaging.events.outbound import BudgetCounted, CapReached
from services.outbound.limits.portfolios import Portfolios
from tests.services.bulk.kit import Platform, platform, rows
from tests.services.outbound.kit import NAME, SENDER


async def plan_of(on: Platform, job: str) -> dict[str, Any]:
    answer = await on.api.get(f"/api/bulk/jobs/{job}/plan")
    assert answer.status_code == 200, answer.text
    reported: dict[str, Any] = answer.json()
    return reported


async def test_the_plan_counts_whom_the_budget_would_make_wait_and_so_many_wait(emulator: dict[str, str]) -> None:
    on = await platform(emulator, portfolios=Portfolios(Channel.WHATSAPP), whatsapp_daily_recipients=50)
    async with on.world:
        await on.people(range(60))
        # They wrote to us a moment ago: they cost nothing.
        await on.people(range(60, 70), last_inbound_at=on.world.clock.now())
        upload = await on.upload(rows(range(70)))
        job = (await on.create(audience={"uploadId": upload}, mapping={"address": "Phone"}))["jobId"]
        assert "budget" not in await plan_of(on, job)  # not told yet
        await on.world.tick(NAME, "budget")
        plan = await plan_of(on, job)
        # A tenth is kept for codes.
        assert plan["putOff"] == {"budget_exhausted": 15}
        reported = {name: plan["budget"][name] for name in ("limit", "used", "leftForBulk", "needed", "over")}
        assert reported == {"limit": 50, "used": 0, "leftForBulk": 45, "needed": 60, "over": 15}
        await on.approve(job)
        await on.world.settle()
        reported = await on.job(job)
        assert (reported["counts"]["sent"], reported["counts"]["pending"]) == (55, 15)
        assert {each["reason"] for each in await on.recipients(job, status="pending")} == {"budget_exhausted"}
        await on.world.advance(60)
        await on.world.tick(NAME, "budget")
        assert (await plan_of(on, job))["budget"]["leftForBulk"] == 0


async def test_the_plan_counts_who_has_had_enough_marketing_and_so_many_wait(emulator: dict[str, str]) -> None:
    on = await platform(emulator, marketing_daily_cap=2)
    async with on.world:
        await on.people(range(12), zone="Europe/Berlin")

        async def send(count: int, **more: Any) -> str:
            upload = await on.upload(rows(range(count)))
            facts = {"audience": {"uploadId": upload}, "mapping": {"address": "Phone"}, "purpose": "marketing"}
            return str((await on.create(**{**facts, **more}))["jobId"])

        for count in (12, 5):
            assert (await on.run(await send(count)))["counts"]["sent"] == count
        said = on.world.said(CapReached)
        assert len({each.contact_id for each in said}) == 5
        job = await send(12, hold=True)
        assert (await plan_of(on, job))["putOff"] == {"frequency_capped": 5}
        assert (await plan_of(on, job))["toSend"] == 12
        assert (await plan_of(on, await send(12, hold=True, purpose="service")))["putOff"] == {}
        await on.approve(job)
        await on.world.settle()
        reported = await on.job(job)
        assert (reported["counts"]["sent"], reported["counts"]["pending"]) == (7, 5)
        assert {each["reason"] for each in await on.recipients(job, status="pending")} == {"frequency_capped"}
        # A day later each of them has a place again.
        await on.world.advance(24 * 3600 + 1, step=7200)
        assert (await plan_of(on, await send(12, hold=True)))["putOff"] == {}


async def test_the_newest_word_on_the_budget_holds_and_an_old_one_is_forgotten(emulator: dict[str, str]) -> None:
    on = await platform(emulator, portfolios=Portfolios(Channel.WHATSAPP), whatsapp_daily_recipients=50)
    async with on.world:
        await on.people(range(25))
        job = (await on.create(audience={"filter": {}}))["jobId"]
        now = on.world.clock.now()
        facts: dict[str, Any] = {"channel": "whatsapp", "portfolio": "default", "limit": 50}
        newer = BudgetCounted(used=40, left_for_bulk=5, at=now, **facts)
        older = BudgetCounted(used=1, left_for_bulk=44, at=now - timedelta(minutes=1), **facts)
        await on.world.hear(newer, older)
        assert (await plan_of(on, job))["putOff"] == {"budget_exhausted": 20}
        await on.world.advance(3 * 3600, step=3600)
        assert "budget" not in await plan_of(on, job)


async def test_how_the_budget_stands_is_told_when_that_is_news(emulator: dict[str, str]) -> None:
    on = await platform(emulator, portfolios=Portfolios(Channel.WHATSAPP), whatsapp_daily_recipients=4000)
    async with on.world:
        await on.people(range(20))
        await on.world.tick(NAME, "budget")
        await on.world.tick(NAME, "budget")
        reported = on.world.said(BudgetCounted)
        assert [(each.used, each.limit, each.left_for_bulk) for each in reported] == [(0, 4000, 3600)]
        await on.run((await on.create(audience={"filter": {}}))["jobId"])
        await on.world.tick(NAME, "budget")
        assert len(on.world.said(BudgetCounted)) == 2


async def test_the_plan_counts_by_the_portfolio_of_the_number_that_will_send(emulator: dict[str, str]) -> None:
    numbers = {"shop": {"limit": 20, "numbers": [SENDER]}}
    more: dict[str, Any] = {"whatsapp_portfolios": numbers, "whatsapp_phone_number_ids": f"{SENDER},phone-number-id-2"}
    on = await platform(emulator, portfolios=Portfolios(Channel.WHATSAPP), whatsapp_daily_recipients=50, **more)
    async with on.world:
        await on.people(range(30))
        await on.world.tick(NAME, "budget")
        # The first number sends by default, and it is one of the shop's.
        for named in ({}, {"sender": SENDER}):
            job = (await on.create(audience={"filter": {}}, hold=True, **named))["jobId"]
            plan = await plan_of(on, job)
            assert plan["putOff"] == {"budget_exhausted": 12}
            assert {name: plan["budget"][name] for name in ("portfolio", "limit", "leftForBulk", "over")} == {
                "portfolio": "shop", "limit": 20, "leftForBulk": 18, "over": 12,
            }  # fmt: skip
        job = (await on.create(audience={"filter": {}}, sender="phone-number-id-2", hold=True))["jobId"]
        plan = await plan_of(on, job)
        assert plan["putOff"] == {}
        assert (plan["budget"]["portfolio"], plan["budget"]["leftForBulk"]) == ("default", 45)
        job = (await on.create(audience={"filter": {}}))["jobId"]
        await on.approve(job)
        await on.world.settle()
        reported = await on.job(job)
        assert (reported["counts"]["sent"], reported["counts"]["pending"]) == (18, 12)
        await on.world.advance(60)
        await on.world.tick(NAME, "budget")
        assert (await plan_of(on, job))["budget"]["leftForBulk"] == 0
