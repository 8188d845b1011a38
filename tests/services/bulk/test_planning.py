"""The plan: who is dropped and why, the hash, the approval; and files that are not as they should be."""

from __future__ import annotations

import csv
import io

import httpx
import openpyxl
import pytest

from libs.messaging.events.bulk import ChunkReleased
from tests.services.bulk.kit import Platform, phone, rows

MAPPED = {"address": "Phone"}


async def fetched(url: str) -> httpx.Response:
    """What a presigned link gives."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(url)


async def test_everybody_is_counted_and_who_is_dropped_is_told_why(on: Platform) -> None:
    await on.people(range(0, 10))
    await on.people(range(10, 13), opted_in=False)
    await on.people(range(13, 15), opted_out_at=on.world.clock.now())
    await on.people(range(15, 16), suppressed="hard bounce")
    upload = await on.upload(rows(range(17), f"{phone(0)},Twice", "12,Too short", ",Nothing", "=1+1,Formula"))
    job = (await on.create(audience={"uploadId": upload}, mapping=MAPPED, hold=True))["jobId"]
    plan = (await on.api.get(f"/api/bulk/jobs/{job}/plan")).json()
    assert plan["rows"] == 21
    assert plan["toSend"] == 10
    assert plan["skipped"] == {"no_consent": 4, "opted_out": 2, "suppressed": 1}
    assert plan["rejected"] == {"duplicate": 1, "invalid": 2, "missing": 1}
    assert len(plan["samples"]) == 3
    reported = await on.job(job)
    assert reported["planned"] == 17
    assert reported["counts"]["skipped"] == 7
    (link,) = (await on.api.get(f"/api/bulk/jobs/{job}/rejects")).json()["items"]
    refused = list(csv.reader(io.StringIO((await fetched(link["url"])).text)))
    assert len(refused) == 11
    assert [row[3] for row in refused if row[1] == "invalid"] == ["12", "'=1+1"]


async def test_more_than_twenty_wait_for_an_approval_that_names_the_plan(on: Platform) -> None:
    await on.people(range(21))
    job = (await on.create(audience={"contactIds": [f"contact-{n}" for n in range(21)]}))["jobId"]
    reported = await on.run(job)
    assert (reported["state"], reported["needsApproval"]) == ("planned", True)
    wrong = await on.api.put(f"/api/bulk/jobs/{job}/approve", json={"hash": "0" * 64})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "PLAN_CHANGED")
    assert wrong.json()["hash"] == reported["planHash"]
    slower = await on.api.put(f"/api/bulk/jobs/{job}", json={"throttlePerSecond": 5})
    assert slower.status_code == 200, slower.text
    stale = await on.api.put(f"/api/bulk/jobs/{job}/approve", json={"hash": reported["planHash"]})
    assert stale.json()["code"] == "PLAN_CHANGED"
    assert not on.world.said(ChunkReleased)
    await on.approve(job)
    assert (await on.run(job))["counts"]["sent"] == 21


async def test_a_handful_needs_no_approval(on: Platform) -> None:
    await on.people(range(3))
    job = (await on.create(audience={"filter": {}}))["jobId"]
    assert (await on.run(job))["counts"]["sent"] == 3


async def test_the_same_key_makes_one_job(on: Platform) -> None:
    await on.people(range(3))
    bodies = [await on.create(audience={"filter": {}}, key="k1") for _ in range(3)]
    assert len({body["jobId"] for body in bodies}) == 1
    await on.run(bodies[0]["jobId"])
    assert sorted(on.fake.accepted.values()) == [1, 1, 1]


async def test_variables_are_frozen_for_each_and_what_lacks_one_is_skipped(on: Platform) -> None:
    await on.people(range(3))
    file = f"Phone;Vorname\n{phone(0)};Jürgen\n{phone(1)};\n{phone(2)};Ann".encode("cp1252")
    upload = await on.upload(file)
    mapping = {"address": "Phone", "variables": {"1": "Vorname"}}
    job = (await on.create(audience={"uploadId": upload}, mapping=mapping))["jobId"]
    reported = await on.run(job)
    assert (reported["counts"]["sent"], reported["counts"]["skipped"]) == (2, 1)
    shown = {each["address"]: each for each in await on.recipients(job)}
    assert shown[phone(0)]["variables"] == {"1": "Jürgen"}
    assert shown[phone(1)]["reason"] == "variables_incomplete"


async def test_a_sheet_of_a_spreadsheet_is_read_too(on: Platform) -> None:
    await on.people(range(3))
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (["Phone", "Name"], [int(phone(0)[1:]), "Ann"], [phone(1), "Bob"], [phone(2), "Cid"]):
        book.active.append(row)
    held = io.BytesIO()
    book.save(held)
    upload = await on.upload(held.getvalue(), "people.xlsx")
    shown = (await on.api.get(f"/api/bulk/uploads/{upload}")).json()
    assert (shown["columns"], shown["guess"]) == (["Phone", "Name"], {"phone": "Phone"})
    job = (await on.create(audience={"uploadId": upload}, mapping={"region": "US"}))["jobId"]
    assert (await on.run(job))["counts"]["sent"] == 3


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (b"Phone,Name\n", "header and no row"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, "not a text file"),
        (b'Phone,Name\n"+12025550100,never closed\n' + b"x" * 40_000, "quote"),
        (b"PK\x03\x04 no archive", "XLSX"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_with_what_to_do_and_nothing_is_created(
    on: Platform, file: bytes, says: str
) -> None:
    upload = await on.upload(file)
    answer = await on.api.post(
        "/api/bulk/jobs",
        json={"name": "x", "channel": "whatsapp", "content": {"kind": "template", "name": "t"},
              "audience": {"uploadId": upload}, "mapping": {"address": "Phone"}},
    )  # fmt: skip
    if answer.status_code == 202:
        await on.world.settle()
        reported = await on.job(answer.json()["jobId"])
        assert reported["state"] == "rejected"
        assert says in reported["problem"]["detail"]
        assert reported["planned"] == 0
    else:
        assert answer.status_code == 422, answer.text
        assert says in answer.json()["errors"][0]["detail"]
        assert (await on.api.get("/api/bulk/jobs")).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"mapping": {"address": "Mobile"}}, "MAPPING_WRONG", "mapping.address"),
        ({"mapping": {"address": "Phone", "variables": {"1": "First"}}}, "MAPPING_WRONG", "mapping.variables.1"),
        ({"startAt": "2020-01-01T00:00:00Z"}, "WINDOW_IN_THE_PAST", "startAt"),
        ({"endAt": "2020-01-01T00:00:00Z"}, "WINDOW_IN_THE_PAST", "endAt"),
        ({"channel": "email"}, "TEMPLATE_MISSING", "content.name"),
        ({"content": {"kind": "speech", "text": "Hello"}}, "UNSUPPORTED", "content.kind"),
        ({"audience": {"uploadId": "no-such"}}, "UPLOAD_NOT_FOUND", "audience.uploadId"),
        ({"audience": {"listId": "no-such"}}, "LIST_NOT_FOUND", "audience.listId"),
        ({"audience": {}}, "VALIDATION_FAILED", "audience"),
        ({"throttlePerSecond": 0}, "VALIDATION_FAILED", "throttlePerSecond"),
    ],
)
async def test_a_wrong_job_is_refused_and_the_field_is_named(
    on: Platform, change: dict[str, object], code: str, field: str
) -> None:
    upload = await on.upload(rows(range(2)))
    body = {
        "name": "x", "channel": "whatsapp", "content": {"kind": "template", "name": "order_update"},
        "audience": {"uploadId": upload}, "mapping": MAPPED, **change,
    }  # fmt: skip
    answer = await on.api.post("/api/bulk/jobs", json=body)
    assert answer.status_code == 422, answer.text
    reported = answer.json()
    assert reported["code"] == code
    assert reported["errors"][0]["field"] == field
    assert reported["errors"][0]["detail"]
    assert (await on.api.get("/api/bulk/jobs")).json()["items"] == []


async def test_the_report_tells_of_each_and_runs_no_formula(on: Platform) -> None:
    await on.people(range(3))
    job = (await on.create(audience={"filter": {}}))["jobId"]
    await on.run(job)
    report = (await on.api.get(f"/api/bulk/jobs/{job}/report")).json()
    lines = list(csv.DictReader(io.StringIO((await fetched(report["csv"]["url"])).text)))
    assert sorted(line["address"] for line in lines) == [phone(n) for n in range(3)]
    assert {line["status"] for line in lines} == {"sent"}
    summary = (await fetched(report["summary"]["url"])).json()
    assert summary["counts"]["sent"] == 3
    assert summary["drift"] == 0
