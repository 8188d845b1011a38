"""Files and requests that are not as they should be: refused with the field and what to do, and nothing is created."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import httpx
import openpyxl
import pytest

from libs.messaging.channels import Channel
from libs.messaging.events.bulk import ChunkReleased, JobChanged
from libs.messaging.events.templates import TemplatesListed
from services.bulk.audience import parts
from tests.services.bulk.kit import Platform, phone, rows

MAPPED = {"address": "Phone"}
FORMULAS = ['=HYPERLINK("http://example.com","x")', "+1+1", "-1+1", "@SUM(A1)", "=1+1"]


async def put(on: Platform, body: bytes, filename: str = "people.csv") -> str:
    """An upload of which no size was told."""
    made = (await on.api.post("/api/bulk/uploads", json={"filename": filename})).json()
    async with httpx.AsyncClient(trust_env=False) as s3:
        assert (await s3.put(made["url"], content=body)).status_code == 200
    return str(made["uploadId"])


async def asked(on: Platform, upload: str, **more: Any) -> httpx.Response:
    body = {
        "name": "x", "channel": "whatsapp", "content": {"kind": "template", "name": "order_update"},
        "audience": {"uploadId": upload}, "mapping": MAPPED, **more,
    }  # fmt: skip
    answer = await on.api.post("/api/bulk/jobs", json=body)
    await on.world.settle()
    return answer


async def refused(on: Platform, answer: httpx.Response, field: str, says: str = "") -> dict[str, Any]:
    """It names the field and what to do, and there is no job."""
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    reported: dict[str, Any] = answer.json()
    assert reported["errors"][0]["field"] == field
    assert says in reported["errors"][0]["detail"]
    assert (await on.api.get("/api/bulk/jobs")).json()["items"] == []
    assert not on.world.said(JobChanged)
    return reported


async def rejected(on: Platform, answer: httpx.Response, says: str) -> None:
    """What only shows when the whole file is read: the job says so, and has no recipient."""
    assert answer.status_code == 202, answer.text
    job = await on.job(answer.json()["jobId"])
    assert (job["state"], job["planned"]) == ("rejected", 0)
    (error,) = job["problem"]["errors"]
    assert error["field"] == "audience.uploadId"
    assert says in error["detail"]
    assert await on.recipients(job["jobId"]) == []
    approve = await on.api.put(f"/api/bulk/jobs/{job['jobId']}/approve", json={"hash": "0" * 64})
    assert approve.status_code == 409
    assert not on.world.said(ChunkReleased)


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"\n\n\n", b"Phone,Name\n", b"Phone,Name\r\n ,\r\n"])
async def test_an_empty_file(on: Platform, body: bytes) -> None:
    upload = await put(on, body)
    reported = await refused(on, await asked(on, upload), "audience.uploadId")
    assert reported["code"] == "FILE_NOT_READABLE"
    assert (await on.api.get(f"/api/bulk/uploads/{upload}")).status_code == 422


async def test_a_file_that_was_never_put(on: Platform) -> None:
    upload = (await on.api.post("/api/bulk/uploads", json={"filename": "people.csv"})).json()["uploadId"]
    await refused(on, await asked(on, upload), "audience.uploadId", "PUT it")


async def test_a_file_over_the_limit(on: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    reported = await on.api.post("/api/bulk/uploads", json={"filename": "people.csv", "size": 500_000_001})
    assert (reported.status_code, reported.json()["errors"][0]["field"]) == (422, "size")
    upload = await put(on, rows(range(100)))
    monkeypatch.setattr(parts, "MAX_FILE_BYTES", 1000)
    await refused(on, await asked(on, upload), "audience.uploadId", "Split it")
    sheet = await put(on, rows(range(100)), "people.xlsx")
    monkeypatch.setattr(parts, "MAX_SHEET_BYTES", 1000)
    await refused(on, await asked(on, sheet), "audience.uploadId", "Save it as CSV")


async def test_a_file_with_too_many_rows(on: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    await on.people(range(20))
    monkeypatch.setattr(parts, "MAX_ROWS", 10)
    await rejected(on, await asked(on, await on.upload(rows(range(20)))), "Split it")


async def test_a_file_with_too_many_columns(on: Platform) -> None:
    await refused(on, await asked(on, await put(on, b"Phone" + b",x" * 300 + b"\n1")), "audience.uploadId", "columns")


MIXED = "Phone,Name\n" + "+12025550100,Jürgen Größe\n" * 40


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"Phone,Name\n" + bytes((n * 73 + 41) % 128 + 128 for n in range(5000)), "encoding"),
        (MIXED.encode() + b"+12025550101,J\xfcrgen\n", "Row 42"),
        ("Phone,Name\n+12025550100,Ann\n".encode("utf-16")[:-3], "utf-16"),
    ],
)
async def test_a_file_whose_encoding_is_broken(on: Platform, body: bytes, says: str) -> None:
    await refused(on, await asked(on, await put(on, body)), "audience.uploadId", says)


async def test_a_file_that_breaks_off_its_encoding_further_down(on: Platform) -> None:
    await on.people(range(2))
    body = (MIXED * 70).encode() + b"+12025550101,J\xfcrgen\n"
    assert len(body) > parts.HEAD_BYTES
    await rejected(on, await asked(on, await on.upload(body)), "Row 2871")


async def test_formulas_stay_text_and_no_export_runs_them(on: Platform) -> None:
    await on.people(range(len(FORMULAS)))
    held = io.StringIO()
    csv.writer(held).writerows(
        [["Phone", "Name"], *([phone(n), formula] for n, formula in enumerate(FORMULAS)), *([f, f] for f in FORMULAS)]
    )
    upload = await on.upload(held.getvalue().encode())
    mapping = {"address": "Phone", "variables": {"1": "Name"}}
    answer = await asked(on, upload, mapping=mapping, purpose="service")
    job = answer.json()["jobId"]
    assert (await on.run(job))["counts"]["sent"] == len(FORMULAS)
    assert [each["variables"]["1"] for each in await on.recipients(job)] == FORMULAS
    (link,) = (await on.api.get(f"/api/bulk/jobs/{job}/rejects")).json()["items"]
    report = (await on.api.get(f"/api/bulk/jobs/{job}/report")).json()["csv"]
    async with httpx.AsyncClient(trust_env=False) as http:
        files = [(await http.get(each["url"])).text for each in (link, report)]
    cells = [cell for file in files for row in csv.reader(io.StringIO(file)) for cell in row]
    assert sorted(cell for cell in cells if cell.startswith("'")) == sorted(f"'{formula}" for formula in FORMULAS)
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@") and not cell[1:].isdigit()]


async def test_a_sheet_of_formulas_gives_what_they_came_to_and_never_their_text(on: Platform) -> None:
    await on.people(range(1))
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (["Phone", "Name"], [phone(0), "=1+1"]):
        book.active.append(row)
    held = io.BytesIO()
    book.save(held)
    mapping = {"address": "Phone", "variables": {"1": "Name"}}
    # This one was never computed: there is nothing to say.
    job = (await asked(on, await on.upload(held.getvalue(), "p.xlsx"), mapping=mapping)).json()["jobId"]
    (one,) = await on.recipients(job)
    assert (one["status"], one["reason"], one["variables"]) == ("skipped", "variables_incomplete", {})


# -- what is asked for -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mapping", "field"),
    [
        ({"address": "Mobile"}, "mapping.address"),
        ({"address": "Phone", "region": "ZZ"}, "mapping.region"),
        ({"address": "Phone", "variables": {"1": "contact:shoes"}}, "mapping.variables.1"),
        ({"address": "Phone", "variables": {"first": "Name"}, "fallbacks": {"fist": "you"}}, "mapping.fallbacks.fist"),
        ({"address": "Phone", "variables": {"second": "Name"}}, "mapping.variables.first"),
    ],
)
async def test_a_wrong_mapping(on: Platform, mapping: dict[str, Any], field: str) -> None:
    await on.people(range(2), last_inbound_at=on.world.clock.now())
    content = {"kind": "text", "body": "Hello {{first}}"} if "first" in str(mapping) + field else {}
    more = {"content": content} if content else {}
    await refused(on, await asked(on, await on.upload(rows(range(2))), mapping=mapping, **more), field)


async def test_no_column_that_looks_like_an_address(on: Platform) -> None:
    upload = await on.upload(b"Animal,Colour\ncat,red\n")
    await refused(on, await asked(on, upload, mapping={}), "mapping.address", "Animal, Colour")


async def test_a_list_with_a_wrong_mapping_is_not_kept(on: Platform) -> None:
    body = {"name": "All", "audience": {"uploadId": await on.upload(rows(range(2)))}, "mapping": {"address": "Mobile"}}
    answer = await on.api.post("/api/bulk/lists", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "mapping.address")
    assert (await on.api.get("/api/bulk/lists")).json()["items"] == []


async def test_an_unknown_template(on: Platform) -> None:
    upload = await on.upload(rows(range(2)))
    await on.world.hear(TemplatesListed(channel=Channel.WHATSAPP, at=on.world.clock.now()))
    reported = await refused(on, await asked(on, upload), "content.name", "Choose another")
    assert reported["code"] == "TEMPLATE_MISSING"


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [(-120, None, "startAt"), (None, -1, "endAt"), (600, 300, "endAt"), (600, 600, "endAt")],
)
async def test_a_window_in_the_past_or_backwards(on: Platform, start: int | None, end: int | None, field: str) -> None:
    now = on.world.clock.now()
    times = {"startAt": start, "endAt": end}
    window = {name: (now + timedelta(seconds=s)).isoformat() for name, s in times.items() if s is not None}
    await refused(on, await asked(on, await on.upload(rows(range(2))), **window), field, "give ")


async def test_a_time_without_a_zone(on: Platform) -> None:
    await refused(on, await asked(on, await on.upload(rows(range(2))), startAt="2030-01-01T10:00:00"), "startAt")


async def scheduled(on: Platform) -> dict[str, Any]:
    await on.people(range(25))
    start = (on.world.clock.now() + timedelta(hours=1)).isoformat()
    end = (on.world.clock.now() + timedelta(hours=2)).isoformat()
    job = (await asked(on, await on.upload(rows(range(25))), startAt=start, endAt=end, purpose="service")).json()
    await on.approve(job["jobId"])
    return await on.job(job["jobId"])


async def test_a_plan_that_is_changed_after_its_approval_needs_another_one(on: Platform) -> None:
    job = await scheduled(on)
    assert job["state"] == "scheduled"
    url, old = f"/api/bulk/jobs/{job['jobId']}", {"hash": job["planHash"]}
    later = (on.world.clock.now() + timedelta(hours=3)).isoformat()
    assert (await on.api.put(url, json={"endAt": later})).json()["needsApproval"] is True
    answer = await on.api.put(f"{url}/approve", json=old)
    assert (answer.status_code, answer.json()["code"]) == (409, "PLAN_CHANGED")
    assert answer.json()["errors"][0]["field"] == "hash"
    reported = await on.job(job["jobId"])
    assert (reported["state"], reported["planHash"]) == ("planned", answer.json()["hash"])
    assert "approvedBy" not in reported
    # Its time comes, and nothing goes out.
    await on.world.advance(3700)
    await on.world.tick("bulk", "look-after")
    assert not on.fake.accepted
    await on.approve(job["jobId"])
    assert (await on.run(job["jobId"]))["counts"]["sent"] == 25


async def test_a_change_that_turns_the_window_around_changes_nothing(on: Platform) -> None:
    job = await scheduled(on)
    url = f"/api/bulk/jobs/{job['jobId']}"
    for change in ({"endAt": 1800}, {"startAt": 9000}, {"startAt": -3600}, {"endAt": -1}):
        ((name, seconds),) = change.items()
        at = (on.world.clock.now() + timedelta(seconds=seconds)).isoformat()
        answer = await on.api.put(url, json={name: at})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (
            422,
            "startAt" if seconds == -3600 else "endAt",
        )
    reported = await on.job(job["jobId"])
    assert (reported["state"], reported["planHash"], reported["version"]) == (
        "scheduled",
        job["planHash"],
        job["version"],
    )


async def test_an_approval_that_comes_after_the_end(on: Platform) -> None:
    await on.people(range(25))
    end = (on.world.clock.now() + timedelta(minutes=5)).isoformat()
    job = (await asked(on, await on.upload(rows(range(25))), endAt=end)).json()["jobId"]
    await on.world.advance(600)
    plan_hash = (await on.job(job))["planHash"]
    answer = await on.api.put(f"/api/bulk/jobs/{job}/approve", json={"hash": plan_hash})
    assert (answer.status_code, answer.json()["code"]) == (409, "WINDOW_IN_THE_PAST")
    assert answer.json()["errors"] == [{"field": "endAt", "detail": "Set a later endAt, or none."}]
    assert (await on.job(job))["state"] == "planned"
