"""The alarm on the error rate of a channel: raised once, over once, seen in the overview."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from libs.common.observe import metrics
from libs.messaging.channels import Channel
from libs.messaging.events.dlq import AlarmChanged
from libs.messaging.events.insights import DeliveryAlarmChanged
from tests.services.insights.kit import Insights, changed


async def sends(insights: Insights, good: int, bad: int, channel: Channel = Channel.SMS) -> None:
    """So many that were sent and so many that failed, now."""
    now: datetime = insights.world.clock.now()
    events = [
        changed(f"{channel} {now} {n}", "sent" if n < good else "failed", now, channel=channel)
        for n in range(good + bad)
    ]
    await insights.hears(*events)


async def looks(insights: Insights) -> list[tuple[str, bool, int, int]]:
    """Somebody looks; all that was said so far."""
    await insights.world.tick("insights", "watch-delivery")
    return [
        (each.channel.value, each.raised, each.tried, each.failed) for each in insights.world.said(DeliveryAlarmChanged)
    ]


async def test_more_than_one_percent_of_a_hundred_raises_it_and_it_is_said_once(insights: Insights) -> None:
    await sends(insights, 99, 1)
    assert await looks(insights) == []
    await sends_more(insights, 98, 2)
    assert await looks(insights) == [("sms", True, 200, 3)]
    assert await looks(insights) == [("sms", True, 200, 3)]
    rate = (await insights.overview())["errorRate"]
    assert rate == {
        "tried": 200, "failed": 3, "rate": 0.015, "limit": 0.01, "minutes": 15, "raised": True,
        "since": "2026-01-15T12:00:01.000Z",
    }  # fmt: skip
    assert not (await insights.overview("email"))["errorRate"]["raised"]


async def sends_more(insights: Insights, good: int, bad: int) -> None:
    insights.world.clock.advance(1)
    await sends(insights, good, bad)


async def test_too_few_messages_raise_none(insights: Insights) -> None:
    await sends(insights, 0, 99)
    assert await looks(insights) == []


async def test_around_the_limit_it_does_not_come_and_go(insights: Insights) -> None:
    await sends(insights, 195, 5)
    assert [raised for _, raised, *_ in await looks(insights)] == [True]
    for _ in range(20):
        insights.world.clock.advance(120)
        await sends(insights, 124, 1)  # 0.8 %: below the limit, above the end
        await looks(insights)
    assert [raised for _, raised, *_ in await looks(insights)] == [True]
    for _ in range(10):
        insights.world.clock.advance(120)
        await sends(insights, 200, 0)
        await looks(insights)
    assert [raised for _, raised, *_ in await looks(insights)] == [True, False]


async def test_it_is_over_when_nothing_is_sent_any_more(insights: Insights) -> None:
    await sends(insights, 150, 50)
    assert len(await looks(insights)) == 1
    insights.world.clock.advance(10 * 60)
    assert len(await looks(insights)) == 1
    insights.world.clock.advance(10 * 60)
    assert (await looks(insights))[1:] == [("sms", False, 0, 0)]


async def test_a_window_over_the_hour_has_both_hours(insights: Insights) -> None:
    insights.world.clock.advance(55 * 60)
    await sends(insights, 90, 1)
    insights.world.clock.advance(10 * 60)
    await sends(insights, 90, 1)
    assert await looks(insights) == [("sms", True, 182, 2)]


async def test_it_is_counted_for_cloudwatch_at_every_look_while_it_lasts(
    insights: Insights, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[str, int, str]] = []
    monkeypatch.setattr(metrics, "count", lambda name, times=1, /, **by: counted.append((name, times, by["channel"])))
    await sends(insights, 150, 50)
    assert sum(n for name, n, _ in counted if name == "messages_sent") == 150
    assert sum(n for name, n, _ in counted if name == "messages_failed") == 50
    await looks(insights)
    assert ("error_rate_alarm", 1, "sms") in counted


async def test_queues_with_too_many_dead_letters_are_in_the_overview(insights: Insights) -> None:
    now = insights.world.clock.now()
    raised = AlarmChanged(queue="wecare-test-messages", raised=True, waiting=11, quarantined=2, few=10, at=now)
    over = raised.model_copy(update={"raised": False, "waiting": 0, "at": now + timedelta(minutes=5)})
    await insights.world.hear(raised)
    (open_,) = (await insights.get("/overview"))["letters"]
    assert open_ == {
        "queue": "wecare-test-messages",
        "waiting": 11,
        "quarantined": 2,
        "since": "2026-01-15T12:00:00.000Z",
    }
    await insights.world.hear(over)
    await insights.world.hear(raised)  # late
    assert (await insights.get("/overview"))["letters"] == []
