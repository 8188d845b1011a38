"""Finding entries: newest first, by filters, page by page at the same cost; and the export."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from libs.common.store.ops import Query
from services.audit import exports
from services.audit.model import AuditLog
from tests.services.audit.kit import Record

NAMES = [f"n{n:02}" for n in range(25)]


def subjects(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["facts"][0]["subject"] for entry in entries]


async def test_the_newest_come_first_and_pages_go_on_where_they_stopped(record: Record) -> None:
    await record.greets(*NAMES)
    for query in ({}, {"actor": "user:test-operator"}, {"action": "toy.say_hello"}):
        for limit in (1, 4, 100):
            assert subjects(await record.entries(**query, limit=limit)) == NAMES[::-1]


async def test_a_page_is_not_moved_by_what_is_written_meanwhile(record: Record) -> None:
    await record.greets(*NAMES[:10])
    first = await record.get(limit=4)
    await record.greets(*NAMES[10:])
    second = await record.get(limit=4, cursor=first["cursor"])
    assert subjects([*first["items"], *second["items"]]) == NAMES[:10][:1:-1]


async def test_a_page_costs_the_same_few_calls_however_many_entries_there_are(record: Record) -> None:
    async def cost(**query: Any) -> int:
        calls: list[Query] = []
        asked = record.world.store.query

        async def counted(query: Query) -> Any:
            calls.append(query)
            return await asked(query)

        record.world.store.query = counted  # type: ignore[method-assign]
        await record.get(limit=5, **query)
        record.world.store.query = asked  # type: ignore[method-assign]
        return len(calls)

    await record.greets(*NAMES[:6])
    few = [await cost(), await cost(actor="user:test-operator")]
    record.world.clock.advance(30 * 24 * 3600)
    await record.greets(*NAMES, *NAMES)
    assert [await cost(), await cost(actor="user:test-operator")] == few == [4, 1]


async def test_filters_narrow_together(record: Record) -> None:
    await record.greets("ann")
    await record.greets("bob", role="ADMIN")
    await record.greets("cid", role="VIEWER")
    found = await record.entries(actor="user:test-admin")
    assert subjects(found) == ["bob"]
    assert [entry["kind"] for entry in await record.entries(kind="refusal")] == ["refusal"]
    assert await record.entries(actor="user:test-admin", kind="refusal") == []
    assert await record.entries(resource="nobody") == []
    assert await record.entries(action="toy.say_hello", actor="user:nobody") == []


async def test_times_narrow(record: Record) -> None:
    await record.greets("ann")
    record.world.clock.advance(3600)
    await record.greets("bob")
    for more in ({}, {"actor": "user:test-operator"}):
        assert subjects(await record.entries(since="2026-01-15T12:30:00Z", **more)) == ["bob"]
        assert subjects(await record.entries(until="2026-01-15T12:30:00Z", **more)) == ["ann"]
        both = {"since": "2026-01-15T12:00:00Z", "until": "2026-01-15T12:00:00Z"}
        assert subjects(await record.entries(**both, **more)) == ["ann"], "inclusive"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"kind": "gossip"}, "kind"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "until"),
        ({"cursor": "abc"}, "cursor"),
        ({"cursor": "abc", "actor": "user:x"}, "cursor"),
        ({"cursor": "2026-01-15T12:00:00.000Z#abc"}, "cursor"),
    ],
)
async def test_what_is_wrong_is_named(record: Record, query: dict[str, Any], field: str) -> None:
    reported = await record.get(expect=422, **query)
    assert reported["errors"][0]["field"] == field


async def test_what_is_not_there_is_said(record: Record) -> None:
    assert (await record.get("/nothing", expect=404))["code"] == "ENTRY_NOT_FOUND"
    assert (await record.get("/exports/nothing", expect=404))["code"] == "EXPORT_NOT_FOUND"


async def test_an_entry_is_gone_after_180_days(record: Record) -> None:
    await record.greets("ann")
    await record.links()
    (entry,) = await record.entries()
    record.world.clock.advance(179 * 24 * 3600)
    assert await record.get(f"/{entry['logId']}")
    record.world.clock.advance(2 * 24 * 3600)
    await record.get(f"/{entry['logId']}", expect=404)
    assert await record.entries() == []


# -- the export ------------------------------------------------------------------------------------


async def exported(record: Record, **body: Any) -> tuple[dict[str, Any], list[dict[str, str]]]:
    answer = await record.admin.post("/api/audit/exports", json=body)
    assert answer.status_code == 201, answer.text
    reported = await record.get(f"/exports/{answer.json()['exportId']}")
    assert f"{reported['exportId']}.csv" in reported["url"]
    ((data, kind),) = [
        found for (_, key), found in record.world.files.objects.items() if key == f"{reported['exportId']}.csv"
    ]
    assert kind.startswith("text/csv")
    return reported, list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))


async def test_an_export_holds_what_fits_and_is_on_record_itself(record: Record) -> None:
    await record.greets(*NAMES)
    await record.links()
    reported, rows = await exported(record, action="toy.say_hello")
    assert (reported["rows"], reported["complete"], len(rows)) == (25, True, 25)
    assert [row["logId"] for row in rows] == [entry["logId"] for entry in await record.entries(action="toy.say_hello")]
    assert all(row["hash"] for row in rows)
    await record.world.settle()
    (entry,) = await record.entries(action="audit.create_export")
    assert (entry["resource"], entry["after"]) == (reported["exportId"], {"rows": 25, "complete": True})


async def test_an_export_has_a_limit_and_says_so(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MAX_ROWS", 10)
    monkeypatch.setattr(exports, "PAGE_ROWS", 5)
    await record.greets(*NAMES)
    reported, rows = await exported(record)
    assert (reported["rows"], reported["complete"], len(rows)) == (10, False, 10)


async def test_no_cell_of_an_export_is_run_as_a_formula(record: Record) -> None:
    now = record.world.clock.now()
    entry = AuditLog.of(
        "e1", now, kind="fact", actor="=cmd|' /C calc'!A0", service="t", action="@SUM(A1)", resource="-1+1",
        correlation_id="\t=1", after={"why": "=1+1"},
    )  # fmt: skip
    await record.rewrite(entry)
    _, (row,) = await exported(record)
    for name in ("actor", "action", "resource", "correlationId"):
        assert row[name].startswith("'")
    assert row["after"] == '{"why": "=1+1"}', "a text that begins with a brace"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"acter": "x"}, "acter"),
        ({"kind": "gossip"}, "kind"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "until"),
    ],
)
async def test_a_bad_request_for_an_export_is_named(record: Record, body: dict[str, Any], field: str) -> None:
    answer = await record.admin.post("/api/audit/exports", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_an_export_is_narrowed_by_time(record: Record) -> None:
    await record.greets("ann")
    await record.links()
    now = record.world.clock.now()
    for since, rows in ((now - timedelta(hours=1), 1), (now + timedelta(hours=1), 0)):
        body = {"since": since.isoformat(), "until": "9999-12-31T23:59:59-12:00"}
        answer = await record.admin.post("/api/audit/exports", json=body)
        assert (answer.status_code, answer.json().get("rows")) == (201, rows), answer.text
