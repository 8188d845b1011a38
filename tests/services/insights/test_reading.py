"""What the API shows of the figures."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from libs.messaging.channels import Channel
from libs.messaging.errors import EXPLANATIONS, ErrorCode
from tests.services.insights.kit import NOON, Insights, changed, crowd, expected, way


async def test_the_last_day_by_hour_and_the_last_month_by_day_are_what_is_meant_if_nothing_is_said(
    insights: Insights,
) -> None:
    await insights.hears(
        changed("m1", "sent", NOON - timedelta(days=2)), changed("m2", "sent", NOON - timedelta(hours=2))
    )
    insights.world.clock.advance(60)
    (item,) = (await insights.get("/delivery"))["items"]
    assert (item["start"], item["channel"], item["messageClass"]) == (
        "2026-01-15T10:00:00.000Z",
        "sms",
        "transactional",
    )
    assert [each["start"][:10] for each in (await insights.get("/delivery", by="day"))["items"]] == [
        "2026-01-13",
        "2026-01-15",
    ]


async def test_a_page_is_one_query_for_each_channel_and_pages_come_to_the_whole(
    insights: Insights, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = crowd(6)
    await insights.hears(*reported)
    queries: list[Any] = []
    store = insights.world.runtime.store
    query = store.query

    async def watched(asked: Any) -> Any:
        queries.append(asked)
        return await query(asked)

    monkeypatch.setattr(store, "query", watched)
    time: dict[str, Any] = {"from": "2026-01-13T00:00:00Z", "to": "2026-01-16T12:00:00Z"}
    page = await insights.get("/delivery", **time)
    assert len(queries) == len(Channel)
    assert (page["from"], page["to"], page["cursor"]) == (
        "2026-01-13T00:00:00.000Z",
        "2026-01-16T12:00:00.000Z",
        "2026-01-15T00",
    )
    queries.clear()
    await insights.get("/delivery", channel="sms")
    assert len(queries) == 1
    queries.clear()
    await insights.get("/overview")
    assert len(queries) == len(Channel) + 2
    whole = await insights.figures()
    assert whole == expected(reported)
    only = await insights.items(channel="rcs", **time)
    assert {each["channel"] for each in only} == {"rcs"}
    assert sum(each["sent"] for each in only) == sum(
        n for name, n in whole.items() if " rcs " in name and name.endswith(" sent")
    )


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "2026-01-15T12:00:00Z", "to": "2026-01-15T12:00:00Z"}, "from"),
        ({"from": "2025-11-15T12:00:00Z", "to": "2026-01-15T12:00:00Z"}, "from"),
        ({"from": "2024-11-15T12:00:00Z", "by": "day"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"from": "9999-12-31T00:00:00Z", "to": "9999-12-31T23:59:59Z"}, "from"),
        ({"to": "0001-01-01T00:00:00+05:00"}, "to"),
        ({"from": "2026-01-15T12:00:00"}, "from"),
        ({"channel": "pigeon"}, "channel"),
        ({"by": "minute"}, "by"),
        ({"cursor": "2020-01-01T00"}, "cursor"),
        ({"cursor": "next"}, "cursor"),
    ],
)
async def test_what_cannot_be_answered_is_refused_with_the_field_named(
    insights: Insights, query: dict[str, str], field: str
) -> None:
    problem = await insights.get("/delivery", 422, **query)
    assert problem["code"] == "VALIDATION_FAILED"
    (error,) = problem["errors"]
    assert error["field"].endswith(field)
    assert error["detail"]


async def test_times_are_measured_between_moments_that_were_told(insights: Insights) -> None:
    steps = [(0, "queued", "request"), (0.4, "sent", "sender"), (3.4, "delivered", "provider")]
    for n in range(90):
        await insights.hears(*way(f"m{n}", steps))
    slow = [(0, "queued", "request"), (45, "sent", "sender")]
    for n in range(90, 100):
        await insights.hears(*way(f"m{n}", slow))
    await insights.hears(*way("skips", [(0, "queued", "request"), (2, "delivered", "provider")]))
    insights.world.clock.advance(60)
    (item,) = (await insights.get("/delivery"))["items"]
    assert item["queuedToSent"]["count"] == 100
    assert 0.25 <= item["queuedToSent"]["median"] <= 0.5
    assert 30 <= item["queuedToSent"]["p95"] <= 60
    assert item["sentToDelivered"]["count"] == 90
    assert 2 <= item["sentToDelivered"]["median"] <= 5


async def test_today_stands_beside_yesterday_at_the_same_time(insights: Insights) -> None:
    yesterday = NOON - timedelta(days=1)
    before = [
        *(changed(f"a{n}", "sent", yesterday - timedelta(hours=3)) for n in range(4)),
        *(changed(f"b{n}", "sent", yesterday + timedelta(minutes=7)) for n in range(2)),
        changed("b0", "delivered", yesterday + timedelta(minutes=8), source="provider"),
        *(changed(f"later{n}", "sent", yesterday + timedelta(minutes=20)) for n in range(9)),
        changed("evening", "sent", yesterday + timedelta(hours=9)),
        changed("day-before", "sent", yesterday - timedelta(days=1)),
    ]
    today = [
        *(changed(f"c{n}", "sent", NOON - timedelta(hours=11)) for n in range(6)),
        *(changed(f"c{n}", "delivered", NOON, source="provider") for n in range(3)),
        *(changed(f"d{n}", "failed", NOON, code=ErrorCode.BLOCKED) for n in range(2)),
        changed("hello", "received", NOON, source="customer"),
    ]
    await insights.hears(*before, *today)
    insights.world.clock.advance(12 * 60)
    reported = await insights.overview()
    assert reported["today"] == {
        "sent": 6, "delivered": 3, "failed": 2, "tried": 8, "received": 1, "deliveredShare": 0.5, "failedShare": 0.25,
    }  # fmt: skip
    assert (reported["yesterday"]["sent"], reported["yesterday"]["delivered"]) == (6, 1)
    why = EXPLANATIONS[ErrorCode.BLOCKED]
    assert reported["errors"] == [{"code": "blocked", "count": 2, "means": why.means, "action": why.do}]
    quiet = await insights.overview("voice")
    assert quiet["today"]["sent"] == 0
    assert "deliveredShare" not in quiet["today"]


async def test_an_export_has_the_same_figures_and_is_fetched_by_a_link(insights: Insights) -> None:
    reported = crowd(7, 60)
    await insights.hears(*reported)
    body = {"from": "2026-01-14T00:00:00Z", "to": "2026-01-17T00:00:00Z", "by": "hour"}
    made = await insights.viewer.post("/api/insights/exports", json=body, headers={"Idempotency-Key": "1"})
    assert made.status_code == 201, made.text
    again = await insights.viewer.post("/api/insights/exports", json=body, headers={"Idempotency-Key": "1"})
    assert again.json() == made.json()
    shown = await insights.get(f"/exports/{made.json()['exportId']}")
    assert shown["url"].startswith("http")
    ((data, _),) = insights.world.files.objects.values()
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    assert len(rows) == shown["rows"]
    assert sum(int(row["failed"]) for row in rows) == sum(
        n for name, n in expected(reported).items() if name.endswith(" failed")
    )
    assert any("=" in row["errors"] for row in rows)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    missing = await insights.get("/exports/none", 404)
    assert missing["code"] == "EXPORT_NOT_FOUND"


async def test_an_export_refuses_what_the_list_refuses(insights: Insights) -> None:
    body = {"from": "2026-01-17T00:00:00Z", "to": "2026-01-14T00:00:00Z"}
    answer = await insights.viewer.post("/api/insights/exports", json=body, headers={"Idempotency-Key": "1"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "from"


async def test_only_who_is_signed_in_sees_figures(insights: Insights) -> None:
    stranger = insights.world.http(None)
    for path in ("/delivery", "/overview"):
        assert (await stranger.get(f"/api/insights{path}")).status_code == 401
