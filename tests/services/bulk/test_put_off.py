"""What a sender puts off until the morning: how it is counted, and what a cancelled job does with it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from libs.common.declare.event import Envelope
from libs.common.handle.delivery import run_tick
from libs.messaging.events.bulk import ChunkCalledBack, DriftFound
from libs.messaging.vocabulary import Status
from services.bulk import ticks
from services.outbound.ledger.model import Delivery
from tests.services.bulk.kit import Platform, rows
from tests.services.outbound.kit import NAME

AWAKE, ASLEEP = 30, 120


async def job_at_night(on: Platform) -> str:
    """It is 12:00 UTC: some live where it is day, the others where it is 4 in the morning. The job has begun."""
    await on.people(range(AWAKE), zone="Europe/Berlin")
    await on.people(range(AWAKE, AWAKE + ASLEEP), zone="America/Los_Angeles")
    upload = await on.upload(rows(range(AWAKE + ASLEEP)))
    job = (await on.create(audience={"uploadId": upload}, purpose="marketing", mapping={"address": "Phone"}))["jobId"]
    await on.approve(job)
    await on.world.settle()
    return str(job)


async def deliveries(on: Platform, job: str, status: str) -> list[Delivery]:
    ids = [each["messageId"] for each in await on.recipients(job, status=status)]
    found = [await on.world.row(NAME, Delivery, each) for each in ids]
    return [row for row in found if row is not None]


async def test_what_waits_for_the_morning_is_pending_and_says_why(on: Platform) -> None:
    job = await job_at_night(on)
    reported = await on.job(job)
    assert reported["state"] == "running"
    assert (reported["counts"]["sent"], reported["counts"]["pending"], reported["counts"]["claimed"]) == (
        AWAKE,
        ASLEEP,
        0,
    )
    assert not reported.get("reasons")
    shown = await on.recipients(job, status="pending")
    assert len(shown) == ASLEEP
    assert {each["reason"] for each in shown} == {"quiet_hours"}
    # It stays the sender's: it is not handed out again.
    await on.world.advance(300)
    await on.world.tick("bulk")
    assert sum(on.fake.accepted.values()) == AWAKE


async def test_it_goes_out_in_the_morning_once(on: Platform) -> None:
    job = await job_at_night(on)
    await on.world.advance(4 * 3600 - 900, step=1800)
    for _ in range(20):
        await on.world.advance(60)
        await on.world.tick(NAME, "reconcile")
    reported = await on.run(job)
    assert (reported["state"], reported["counts"]["sent"]) == ("finished", AWAKE + ASLEEP)
    assert set(on.fake.accepted.values()) == {1}
    assert len(on.fake.accepted) == AWAKE + ASLEEP
    await on.world.tick("bulk", "audit")
    assert not any("reason" in each for each in await on.recipients(job))
    assert not on.world.said(DriftFound)


async def test_a_cancel_reaches_within_seconds_what_waits_for_the_morning(on: Platform) -> None:
    job = await job_at_night(on)
    await on.api.post(f"/api/bulk/jobs/{job}/cancel", json={})
    await on.world.settle()
    await on.world.advance(2)
    await on.world.tick("bulk", "look-after")
    await on.world.advance(2)
    await on.world.tick("bulk", "look-after")
    reported = await on.job(job)
    assert reported["state"] == "cancelled"
    assert (reported["counts"]["sent"], reported["counts"]["cancelled"]) == (AWAKE, ASLEEP)
    assert {each["reason"] for each in await on.recipients(job, status="cancelled")} == {"cancelled"}
    # Not only the job says so: the sender and the messages do.
    assert {row.status for row in await deliveries(on, job, "cancelled")} == {Status.CANCELLED}
    (one, *_) = await on.recipients(job, status="cancelled")
    assert (await on.api.get(f"/api/messages/{one['messageId']}")).json()["status"] == "cancelled"
    await on.world.advance(5 * 3600, step=600)
    await on.world.tick(NAME, "reconcile")
    assert sum(on.fake.accepted.values()) == AWAKE


async def test_what_is_called_back_twice_or_is_on_its_way_stays_as_it_is(on: Platform) -> None:
    job = await job_at_night(on)
    sent = await deliveries(on, job, "sent")
    said = ChunkCalledBack(
        job_id=job, chunk="p000000", channel="whatsapp", message_ids=(*(row.message_id for row in sent), "no-such"),
        at=on.world.clock.now(),
    )  # fmt: skip
    await on.world.hear(said, said)
    assert (await on.job(job))["counts"]["sent"] == AWAKE
    assert {row.status for row in await deliveries(on, job, "sent")} == {Status.SENT}


async def test_a_paused_job_that_is_cancelled_calls_back_too(on: Platform) -> None:
    job = await job_at_night(on)
    for verb in ("pause", "cancel"):
        assert (await on.api.post(f"/api/bulk/jobs/{job}/{verb}", json={})).status_code == 200
        await on.world.settle()
    reported = await on.run(job)
    assert (reported["state"], reported["counts"]["cancelled"]) == ("cancelled", ASLEEP)


async def test_a_large_job_is_called_back_a_page_at_a_time(on: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticks, "MAX_CHUNKS", 1)
    job = await job_at_night(on)
    await on.api.post(f"/api/bulk/jobs/{job}/cancel", json={})
    await on.world.settle()
    counted = []
    for _ in range(3):
        await on.world.advance(2)
        await run_tick(on.world.runtime, on.world.service("bulk"), on.world.service("bulk").every[0])
        await on.world.settle()
        counted.append((await on.job(job))["counts"]["cancelled"])
    # The first chunk has 70 that wait, the second 50.
    assert counted == [70, 120, 120]
    assert (await on.job(job))["state"] == "cancelled"


async def test_what_was_called_back_in_vain_is_called_back_again(on: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await job_at_night(on)
    await on.api.post(f"/api/bulk/jobs/{job}/cancel", json={})
    await on.world.settle()
    bulk, publish = on.world.service("bulk"), on.world.bus.publish

    async def loses(envelopes: Sequence[Envelope]) -> None:
        await publish([each for each in envelopes if not isinstance(each.data, ChunkCalledBack)])

    monkeypatch.setattr(on.world.bus, "publish", loses)
    await run_tick(on.world.runtime, bulk, bulk.every[0])
    await on.world.settle()
    reported = await on.job(job)
    assert (reported["state"], reported["counts"]["pending"]) == ("cancelling", ASLEEP)
    monkeypatch.setattr(on.world.bus, "publish", publish)
    await on.world.advance(61)
    reported = await on.run(job)
    assert (reported["state"], reported["counts"]["cancelled"]) == ("cancelled", ASLEEP)
