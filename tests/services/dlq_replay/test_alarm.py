"""The alarm of a queue: raised above ten open dead letters, said once, seen until it is over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from libs.common.observe import metrics
from libs.messaging.events.dlq import AlarmChanged
from services.dlq_replay import search
from tests.services.dlq_replay.kit import QUEUE, Bench, ids

LOOK = "watch-queues"


async def _many(bench: Bench, count: int, **how: Any) -> None:
    await bench.dies(*(f"{how}{n}" for n in range(count)), **how)


async def _alarms(bench: Bench) -> dict[str, bool]:
    return {each["queue"]: each["alarm"] for each in (await bench.get("/api/dlq/groups"))["queues"]}


async def _discard(bench: Bench, count: int) -> None:
    chosen = ids(await bench.letters(limit=count))
    answer = await bench.admin.post("/api/dlq/discard", json={"ids": chosen, "why": "not wanted"})
    assert answer.status_code == 200, answer.text


async def test_more_than_ten_open_letters_of_a_queue_raise_its_alarm_and_no_others() -> None:
    bench = Bench()
    await _many(bench, 10)
    await bench.world.feed("shop", "unreadable")
    await bench.world.tick("dlq-replay", LOOK)
    assert bench.world.said(AlarmChanged) == []
    await bench.dies("one more")
    assert await _alarms(bench) == {QUEUE: True, f"{QUEUE}-feed-shop": False}
    await bench.world.tick("dlq-replay", LOOK)
    (said,) = bench.world.said(AlarmChanged)
    assert (said.queue, said.raised, said.waiting, said.quarantined, said.few) == (QUEUE, True, 11, 0, 10)


async def test_an_alarm_is_said_and_logged_once_by_however_many_and_counted_while_it_lasts() -> None:
    bench = Bench()
    await _many(bench, 12)
    counted = f'wecare_dead_letter_alarm_total{{queue="{QUEUE}"}}'
    before = _of(counted)
    with structlog.testing.capture_logs() as lines:
        await asyncio.gather(*(bench.world.tick("dlq-replay", LOOK) for _ in range(2)))
        reported = [line for line in lines if line["event"] == "too many dead letters"]
        bench.world.clock.advance(60)
        await bench.world.tick("dlq-replay", LOOK)
    assert len(bench.world.said(AlarmChanged)) == 1
    assert {(line["log_level"], line["queue"], line["waiting"]) for line in reported} == {("error", QUEUE, 12)}
    assert reported == [line for line in lines if line["event"] == "too many dead letters"], "once it was said, no more"
    assert _of(counted) - before == 6, "two ticks at once and one later, each twice"


def _of(name: str) -> int:
    return next((int(line.split()[-1]) for line in metrics.exposition().splitlines() if line.startswith(name)), 0)


async def test_an_alarm_is_over_when_ten_are_left_and_may_be_raised_again() -> None:
    bench = Bench()
    await _many(bench, 12)
    await bench.world.tick("dlq-replay", LOOK)
    await _discard(bench, 2)
    assert await _alarms(bench) == {QUEUE: False}
    await bench.world.tick("dlq-replay", LOOK)
    await bench.dies("one more")
    await bench.world.tick("dlq-replay", LOOK)
    await _discard(bench, 11)
    await bench.world.tick("dlq-replay", LOOK)
    assert [(said.raised, said.waiting) for said in bench.world.said(AlarmChanged)] == [
        (True, 12),
        (False, 10),
        (True, 11),
        (False, 0),
    ]


async def test_letters_in_quarantine_are_open_too() -> None:
    bench = Bench()
    await _many(bench, 11, trouble="poison")
    for _ in range(5):
        await bench.replayed(filter={}, rate=500)
    assert await bench.letters() == []
    await bench.world.tick("dlq-replay", LOOK)
    assert [(said.waiting, said.quarantined) for said in bench.world.said(AlarmChanged)] == [(0, 11)]


async def test_a_filter_narrows_the_groups_and_not_the_alarm() -> None:
    bench = Bench()
    await _many(bench, 8)
    await _many(bench, 8, error=ValueError("a bug"))
    reported = await bench.get("/api/dlq/groups", cause="exhausted")
    assert (reported["total"], [group["cause"] for group in reported["groups"]]) == (8, ["exhausted"])
    assert reported["queues"] == [{"queue": QUEUE, "waiting": 16, "quarantined": 0, "alarm": True}]


async def test_an_alarm_is_not_over_because_there_are_too_many_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    await _many(bench, 12)
    await bench.world.tick("dlq-replay", LOOK)
    monkeypatch.setattr(search, "MAX_ROWS_SCANNED", 5)
    await bench.world.tick("dlq-replay", LOOK)
    assert [said.raised for said in bench.world.said(AlarmChanged)] == [True]
