"""A plan knows what was said of contacts before the job was asked for, or says how far behind it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from libs.common.bus.base import Record
from libs.common.topology import topology
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.permission import Standing
from libs.messaging.words import Channel
from services.bulk import planning, ticks
from services.bulk.service import service as bulk
from tests.services.bulk.kit import TEXT, Platform, phone

PEOPLE = "wecare-test-bulk-people"


def person(n: int) -> PermissionChanged:
    said = Standing(contact_id=f"contact-{n}", channel=Channel.WHATSAPP, revision=1, address=phone(n), opted_in=True)
    return PermissionChanged(contact_id=said.contact_id, channel=said.channel, standing=said)


async def asked(on: Platform, count: int, **more: Any) -> str:
    """A job to so many contacts; nothing of what was published is handled yet."""
    ids = [f"contact-{n}" for n in range(count)]
    body = {"name": "x", "channel": "whatsapp", "content": TEXT, "audience": {"contactIds": ids}, "hold": True, **more}
    answer = await on.api.post("/api/bulk/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


async def plan_of(on: Platform, job: str) -> dict[str, Any]:
    answer = await on.api.get(f"/api/bulk/jobs/{job}/plan")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def hold(on: Platform, seconds: float, most: int = 1000) -> Sequence[Record]:
    """A worker of the queue of changes takes what is there and does nothing with it for so long."""
    held: list[Record] = []
    while len(held) < most and (some := await on.world.bus.receive(PEOPLE, min(10, most - len(held)), 0)):
        held += some
    for record in held:
        await on.world.bus.hide(record, seconds)
    return held


async def test_ten_thousand_contacts_and_a_job_planned_at_once_nobody_is_dropped(on: Platform) -> None:
    count = 10_000
    await on.world.publish(*(person(n) for n in range(count)))
    assert await on.world.bus.backlog(PEOPLE) >= 100
    job = await asked(on, count)
    by_filter = await asked(on, 1, audience={"filter": {}})
    await on.world.settle()
    for each in (job, by_filter):
        plan = await plan_of(on, each)
        assert (plan["toSend"], plan["skipped"], plan["rejected"], plan["warnings"]) == (count, {}, {}, [])
        assert "behind" not in plan


async def test_a_plan_whose_changes_do_not_come_says_how_far_behind_it_is_and_waits_for_somebody(on: Platform) -> None:
    await on.world.publish(*(person(n) for n in range(300)))
    job = await asked(on, 5, hold=False)
    held = await hold(on, 600)
    await on.world.settle()
    await on.world.tick("bulk", "look-after")
    assert (await on.job(job))["state"] == "planning"
    await on.world.advance(ticks.CATCH_UP_OVERDUE.total_seconds() + 1)
    await on.world.tick("bulk", "look-after")
    plan = await plan_of(on, job)
    assert plan["rejected"] == {"missing": 5}
    behind = plan["behind"]
    assert (behind["messages"], behind["late"], behind["seconds"] >= 60) == (len(held), True, True)
    assert f"{len(held)} messages" in plan["warnings"][0]
    # They come in the end, and a job that is made then has them.
    await on.world.advance(600)
    again = await asked(on, 5, hold=False)
    await on.world.settle()
    assert (await on.run(again))["counts"]["sent"] == 5


async def test_a_small_job_that_is_behind_does_not_start_by_itself(on: Platform) -> None:
    await on.people(range(3))
    await on.world.publish(person(3))
    job = await asked(on, 4, hold=False)
    await hold(on, 600)
    await on.world.advance(ticks.CATCH_UP_OVERDUE.total_seconds() + 1)
    await on.world.tick("bulk", "look-after")
    told = await on.job(job)
    assert (told["state"], told["counts"]["pending"]) == ("planned", 3)
    await on.approve(job)
    assert (await on.run(job))["counts"]["sent"] == 3


async def test_traffic_that_never_ends_delays_a_plan_by_seconds_only(on: Platform) -> None:
    """One message is always under way: the queue is never empty, but what came before the job is known."""
    await on.people(range(3))
    await on.world.publish(person(3))
    assert len(await hold(on, 600, most=1)) == 1
    job = await asked(on, 3, hold=False)
    await on.world.settle()
    assert (await on.job(job))["state"] == "planning"
    await on.world.advance(planning.MAX_SETTLE_SECONDS + 2, step=1)
    plan = await plan_of(on, job)
    assert (plan["toSend"], plan["behind"]["messages"], plan["behind"]["late"]) == (3, 1, False)
    assert len(plan["warnings"]) == 1
    assert (await on.run(job))["counts"]["sent"] == 3


async def test_a_change_that_is_handled_out_of_order_is_waited_for(on: Platform) -> None:
    """What was before the job's request is received behind it: the plan waits for the queue to be empty."""
    await on.world.publish(person(0))
    await hold(on, 4)
    job = await asked(on, 1)
    await on.world.settle()
    assert (await on.job(job))["state"] == "planning"
    await on.world.advance(8, step=1)
    plan = await plan_of(on, job)
    assert (plan["toSend"], plan["warnings"]) == (1, [])


async def test_the_right_to_look_at_a_queue_is_for_the_one_that_is_declared(on: Platform) -> None:
    grants = [each for each in topology([*on.world.services], "wecare-test").grants if each.service == "bulk"]
    looking = [each.resources for each in grants if "sqs:GetQueueAttributes" in each.actions]
    assert looking == [(f"queue:{PEOPLE}",)]
    context = on.world.runtime.context(bulk)
    assert await context.backlog(planning.PEOPLE) == 0
    with pytest.raises(LookupError):
        await context.backlog("counts")
