"""A replay: to the queue it died on, with the same event id, each dead letter once for each decision."""

from __future__ import annotations

import asyncio
import json

import pytest

from libs.common.errors import Poison
from libs.messaging.events.dlq import LetterDecided, ReplayJobChanged
from tests.services.dlq_replay.kit import QUEUE, Bench, Greeted, ids


async def test_a_replayed_letter_is_handled_under_its_own_event_id_and_stays_on_record() -> None:
    bench = Bench()
    await bench.dies("ann")
    dead_letter = await bench.only()
    job = await bench.replayed(ids=[dead_letter["dlqMessageId"]], why="the shop is open again")
    assert (job["state"], job["sent"], job["skipped"]) == ("done", 1, 0)
    assert bench.shop.applied == {"ann": 1}
    reported = await bench.show(dead_letter)
    assert (reported["state"], reported["replays"]) == ("replayed", 1)
    (action,) = reported["history"]
    assert (action["what"], action["by"], action["why"]) == ("replayed", "user:test-operator", "the shop is open again")
    assert action["jobId"] == job["jobId"]
    (said,) = bench.world.said(LetterDecided)
    assert (said.decision, said.by, said.job_id) == ("replayed", "user:test-operator", job["jobId"])
    assert [each.state for each in bench.world.said(ReplayJobChanged)] == ["running", "done"]


async def test_it_goes_to_the_queue_that_it_died_on_with_body_and_attributes_as_they_were() -> None:
    bench = Bench()
    await bench.dies("ann")
    dead_letter = await bench.show(await bench.only())
    await bench.ask(ids=[dead_letter["dlqMessageId"]])
    bench.world.times = 1
    sent = []
    inner = bench.world.bus.send

    async def send(queue: str, body: str, attributes: dict[str, str]) -> None:
        sent.append((queue, json.loads(body), attributes))
        await inner(queue, body, attributes)

    bench.world.runtime.bus.send = send  # type: ignore[method-assign]
    await bench.work()
    ((queue, event, attributes),) = sent
    assert (queue, event) == (QUEUE, dead_letter["event"])
    assert dead_letter["attributes"].items() <= attributes.items()


async def test_what_dies_of_a_replay_waits_again_in_the_same_letter() -> None:
    bench = Bench()
    await bench.dies("ann")
    dead_letter = await bench.only()
    bench.shop.broken = Poison("still closed")
    await bench.replayed(ids=ids([dead_letter]))
    reported = await bench.show(await bench.only())
    assert reported["dlqMessageId"] == dead_letter["dlqMessageId"]
    assert (reported["state"], reported["text"]) == ("waiting", "still closed")
    assert [attempt.get("replay") for attempt in reported["attempts"]] == [None, None, 1, 1]


async def test_after_five_replays_it_is_quarantined_and_only_taken_when_somebody_insists() -> None:
    bench = Bench()
    await bench.dies("ann")
    dead_letter = await bench.only()
    bench.shop.broken = Poison("still closed")
    for _ in range(5):
        await bench.replayed(ids=ids([dead_letter]))
    assert await bench.letters() == []
    reported = await bench.only(state="quarantined")
    assert "expiresAt" not in reported
    bench.world.clock.advance(30 * 24 * 3600)
    assert (await bench.only(state="quarantined"))["replays"] == 5
    assert (await bench.ask(status=409, ids=ids([dead_letter])))["code"] == "NOT_WAITING"
    assert (await bench.ask(status=422, ids=ids([dead_letter]), force=True))["code"] == "VALIDATION_FAILED"
    bench.shop.broken = None
    await bench.replayed(ids=ids([dead_letter]), force=True, why="the shop was rebuilt")
    assert bench.shop.applied == {"ann": 1}
    assert [each.decision for each in bench.world.said(LetterDecided)].count("quarantined") == 1


async def test_a_double_click_and_two_operators_at_once_send_each_letter_once() -> None:
    bench = Bench()
    await bench.dies("ann", "bob", "cid")
    chosen = ids(await bench.letters())
    same = {"Idempotency-Key": "click"}
    answers = await asyncio.gather(
        *(bench.operator.post("/api/dlq/replay", json={"ids": chosen}, headers=same) for _ in range(3)),
        bench.admin.post("/api/dlq/replay", json={"ids": chosen}),
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["jobId"] for answer in answers}) == 2
    before = bench.shop.runs.total()
    bench.world.times = 1
    await asyncio.gather(bench.work(), bench.work())
    assert bench.shop.runs.total() - before == 3
    jobs = (await bench.get("/api/dlq/jobs"))["items"]
    assert sum(job["sent"] for job in jobs) == 3
    assert sum(job["skipped"] for job in jobs) == 3
    assert {each["replays"] for each in await bench.letters(state="replayed")} == {1}


async def test_a_filter_replays_what_fits_it_oldest_first_and_no_more_than_a_hundred_unless_asked() -> None:
    bench = Bench()
    for n in range(12):
        await bench.dies(*(f"n{n}-{m}" for m in range(10)))
        bench.world.clock.advance(1)
    await bench.dies("other", channel="whatsapp", error=ValueError("other"))
    job = await bench.replayed(filter={"cause": "rejected", "queue": "shop"}, rate=500)
    assert job["total"] == 100
    assert "n0-0" in bench.shop.applied
    assert "n11-9" not in bench.shop.applied
    job = await bench.replayed(filter={"text": "n11-"}, rate=500, limit=1000)
    assert job["total"] == 10
    assert "other" not in bench.shop.applied


async def test_a_job_pauses_goes_on_and_is_cancelled_without_leaving_a_letter_in_between() -> None:
    bench = Bench()
    await bench.dies(*(f"n{n}" for n in range(60)))
    job = await bench.ask(filter={}, rate=10)
    path = f"/api/dlq/jobs/{job['jobId']}"
    ticking = asyncio.create_task(bench.world.tick("dlq-replay"))
    async with asyncio.timeout(20):
        while (await bench.get(path))["sent"] < 5:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert (await bench.operator.post(f"{path}/pause", json={"why": "lunch"})).status_code == 202
    await ticking
    await bench.work()
    paused = await bench.get(path)
    assert paused["state"] == "paused"
    assert 5 <= paused["sent"] < 60
    assert len(await bench.letters(state="replayed", limit=100)) == paused["sent"]
    assert await bench.letters(state="replaying") == []
    assert len(bench.world.said(LetterDecided)) == paused["sent"]
    await bench.operator.post(f"{path}/resume", json={})
    await bench.work()
    done = await bench.get(path)
    assert (done["state"], done["sent"], done["skipped"]) == ("done", 60, 0)
    assert set(bench.shop.applied.values()) == {1}
    assert (await bench.operator.post(f"{path}/cancel", json={})).json()["code"] == "JOB_OVER"
    assert [action["what"] for action in done["history"]] == ["created", "pausing", "running"]


async def test_a_cancelled_job_leaves_the_rest_waiting() -> None:
    bench = Bench()
    await bench.dies(*(f"n{n}" for n in range(5)))
    job = await bench.ask(filter={})
    await bench.operator.post(f"/api/dlq/jobs/{job['jobId']}/cancel", json={"why": "the wrong ones"})
    await bench.work()
    assert (await bench.get(f"/api/dlq/jobs/{job['jobId']}"))["state"] == "cancelled"
    assert len(await bench.letters()) == 5
    assert not bench.shop.applied


@pytest.mark.parametrize("rate", [2, 40, 120])
async def test_the_rate_is_kept_within_five_percent(rate: int) -> None:
    bench = Bench()
    count = rate * 12
    for n in range(0, count, 100):
        await bench.dies(*(f"n{m}" for m in range(n, min(n + 100, count))))
    begun, times = bench.world.clock.now(), []
    inner = bench.world.bus.send

    async def send(queue: str, body: str, attributes: dict[str, str]) -> None:
        times.append((bench.world.clock.now() - begun).total_seconds())
        await inner(queue, body, attributes)

    bench.world.runtime.bus.send = send  # type: ignore[method-assign]
    await bench.ask(filter={}, rate=rate, limit=count)
    await bench.world.tick("dlq-replay")
    assert len(times) == count
    assert count / (times[-1] - times[0] + 1 / rate) == pytest.approx(rate, rel=0.05)
    for start in range(3):
        window = sum(start <= at < start + 10 for at in times)
        assert window <= rate * 10 * 1.05


async def test_an_old_copy_that_dies_late_does_not_undo_a_replay() -> None:
    bench = Bench()
    bench.world.times = 1
    greeting = Greeted(name="ann")
    bench.shop.broken = Poison("closed")
    await bench.world.hear(greeting, key="same")
    copies = bench.world.bus.peek(QUEUE)
    assert copies == []
    dead_letter = await bench.show(await bench.only())
    bench.shop.broken = None
    await bench.replayed(ids=ids([dead_letter]))
    # A copy of the event that had died before the replay is only told now.
    late = {**_reported(dead_letter), "diedAt": dead_letter["diedAt"]}
    await bench.world.bus.send(f"{QUEUE}-dlq", json.dumps(late), dead_letter["attributes"])
    await bench.world.settle()
    reported = await bench.show(dead_letter)
    assert (reported["state"], reported["deaths"]) == ("replayed", 2)


def _reported(dead_letter: dict) -> dict:  # type: ignore[type-arg]
    record = {
        "id": "another",
        "body": json.dumps(dead_letter["event"]),
        "attributes": dead_letter["attributes"],
        "receiveCount": 1,
    }
    facts = {name: dead_letter[name] for name in ("cause", "exception", "text", "queue", "service", "handler", "build")}
    return {**facts, "eventId": dead_letter["eventId"], "eventType": dead_letter["eventType"], "record": record}
