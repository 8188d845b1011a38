"""Pause, resume, cancel, retry: what goes out afterwards, and what does not."""

from __future__ import annotations

from collections import Counter

from libs.messaging.channels import Channel
from libs.messaging.errors import ErrorCode
from libs.messaging.events.bulk import ChunkReleased
from libs.messaging.events.inbound import AccountNoticed
from libs.messaging.vocabulary import Status
from services.outbound.contract import Rejected
from tests.services.bulk.kit import Platform, platform, rows
from tests.services.outbound.kit import Fake, loses_answer


async def planned(on: Platform, count: int, **more: object) -> str:
    await on.people(range(count))
    upload = await on.upload(rows(range(count)))
    return str((await on.create(audience={"uploadId": upload}, mapping={"address": "Phone"}, **more))["jobId"])


async def call(on: Platform, job: str, verb: str, expect: int = 200) -> dict[str, object]:
    answer = await on.api.post(f"/api/bulk/jobs/{job}/{verb}", json={})
    assert answer.status_code == expect, answer.text
    reported: dict[str, object] = answer.json()
    return reported


async def test_what_is_released_after_a_pause_comes_back_unsent_and_goes_out_after_the_resume(on: Platform) -> None:
    job = await planned(on, 120)
    await on.approve(job)
    await call(on, job, "pause")
    reported = await on.run(job)
    assert reported["state"] == "paused"
    assert not on.fake.accepted
    assert reported["counts"]["pending"] == 120
    await call(on, job, "resume")
    reported = await on.run(job)
    assert reported["counts"]["sent"] == 120
    assert Counter(on.fake.accepted.values()) == {1: 120}


async def test_a_cancelled_job_sends_nothing_more_and_says_who_was_not_reached(on: Platform) -> None:
    job = await planned(on, 120)
    await on.approve(job)
    await call(on, job, "cancel")
    reported = await on.run(job)
    assert reported["state"] == "cancelled"
    assert reported["counts"]["cancelled"] == 120 - len(on.fake.accepted)
    assert {each["status"] for each in await on.recipients(job)} == {"cancelled"}
    await call(on, job, "resume", expect=409)


async def test_a_chunk_that_is_released_twice_sends_each_once(on: Platform) -> None:
    job = await planned(on, 30)
    await on.approve(job)
    await on.run(job)
    (first, *_) = on.world.said(ChunkReleased)
    again = first.model_copy(update={"release": 2})
    await on.world.hear(again, again)
    assert Counter(on.fake.accepted.values()) == {1: 30}
    assert (await on.job(job))["counts"]["sent"] == 30


async def test_a_send_whose_answer_is_lost_stays_uncertain_until_its_receipt(emulator: dict[str, str]) -> None:
    on = await platform(emulator, Fake(loses_answer))
    async with on.world:
        job = await planned(on, 25)
        await on.approve(job)
        # A provider that answers no send is sent to ever more rarely.
        reported = await on.run(job, maximum=300)
        assert reported["counts"]["uncertain"] == 25
        await on.receipts(Status.DELIVERED, list(on.fake.accepted)[:10])
        reported = await on.job(job)
        assert (reported["counts"]["uncertain"], reported["counts"]["delivered"]) == (15, 10)
        assert Counter(on.fake.accepted.values()) == {1: 25}


async def test_retry_failed_tries_only_what_may_succeed_and_was_never_accepted(emulator: dict[str, str]) -> None:
    codes = [ErrorCode.FREQUENCY_CAPPED, ErrorCode.UNDELIVERABLE]

    async def refuses_some(fake: Fake, request: dict[str, object]) -> object:
        n = int(str(request["to"])[-2:])
        if fake.asked[str(request["id"])] == 1 and n < 20 and len(fake.asked) <= 30:
            return Rejected(codes[n % 2], "x", "no")
        return fake.accept(request)

    on = await platform(emulator, Fake(refuses_some))  # type: ignore[arg-type]
    async with on.world:
        job = await planned(on, 30)
        await on.approve(job)
        reported = await on.run(job)
        assert (reported["counts"]["failed"], reported["counts"]["sent"]) == (20, 10)
        accepted = list(on.fake.accepted)
        # The provider takes two of the sent ones back: they were accepted, so they are not tried again.
        await on.receipts(Status.FAILED, accepted[:2], error_code=ErrorCode.FREQUENCY_CAPPED)
        await call(on, job, "retry-failed")
        reported = await on.run(job)
        assert reported["state"] == "finished"
        assert (reported["counts"]["sent"], reported["counts"]["failed"]) == (18, 12)
        retried = [each for each in await on.recipients(job) if each["attempt"] == 2]
        assert len(retried) == 10
        assert set(on.fake.accepted.values()) == {1}


async def test_a_template_that_is_paused_at_the_provider_pauses_its_job_with_the_reason(on: Platform) -> None:
    job = await planned(on, 30)
    await on.approve(job)
    details = {"event": "PAUSED", "message_template_name": "order_update", "message_template_language": "en_US"}
    await on.world.hear(AccountNoticed(channel=Channel.WHATSAPP, kind="template_status", details=details))
    reported = await on.job(job)
    assert reported["state"] in ("paused", "finished")
    assert reported["state"] == "finished" or "order_update is paused" in reported["why"]


async def test_a_job_brakes_by_itself_when_the_provider_refuses_too_many(emulator: dict[str, str]) -> None:
    async def refuses(fake: Fake, request: dict[str, object]) -> Rejected:
        return Rejected(ErrorCode.MISCONFIGURED, "131042", "no payment method")

    on = await platform(emulator, Fake(refuses), times=1)  # type: ignore[arg-type]
    async with on.world:
        job = await planned(on, 800, throttlePerSecond=4)
        await on.approve(job)
        reported = await on.run(job)
        assert reported["state"] == "paused"
        assert "errors of ours" in reported["why"]
        assert reported["counts"]["pending"] >= 100
