"""Sheets that are meant to stop whoever reads them: refused by name while the API and the worker go on."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.isolated import MIB, Isolated
from services.bulk.audience import apart
from services.bulk.audience.sources import Upload
from tests.services.bulk.kit import Platform, phone
from tests.services.bulk.test_bad_input import asked, put, refused, rejected
from tests.services.bulk.test_sheets import changed, sheet

HEADER = b"Phone,Name\n"


def strings(count: int) -> bytes:
    """An XLSX with a table of so many strings, under a name by which nobody looks for it: 1.4 million of them are a file of
    64 KB, and take 9 s."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    named = f'<Override PartName="/xl/other.xml" ContentType="{kind}"/></Types>'.encode()
    table = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">' + b"<si><t>a</t></si>" * count
    whole = changed(sheet(), "[Content_Types].xml", lambda body: body.replace(b"</Types>", named))
    return changed(whole, "xl/other.xml", lambda body: table + b"</sst>")


@pytest.mark.parametrize(
    ("limits", "why"),
    [({"cpu_seconds": 1}, "computing time"), ({"cpu_seconds": 60, "memory_bytes": 64 * MIB}, "memory")],
    ids=["time", "memory"],
)
async def test_a_sheet_that_goes_over_a_limit_is_refused_by_name_and_the_api_answers_meanwhile(
    on: Platform, limits: dict[str, int], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "_SHAPES", Isolated(wait_seconds=120, output_bytes=MIB, **limits))
    upload = await put(on, strings(1_400_000), "people.xlsx")
    asking, answered = asyncio.create_task(asked(on, upload)), 0
    while not asking.done():
        assert (await on.api.get("/api/bulk/jobs")).status_code == 200
        answered += 1
    assert answered > 10
    reported = await refused(on, await asking, "audience.uploadId", why)
    assert reported["code"] == "FILE_NOT_READABLE"
    assert reported["errors"][0]["detail"].startswith("people.xlsx: Reading it takes more than ")
    good = await put(on, sheet(), "good.xlsx")
    assert (await on.api.get(f"/api/bulk/uploads/{good}")).json()["columns"] == ["Phone", "Name"]


async def test_a_sheet_that_only_planning_reads_to_its_end_rejects_its_job_by_name(
    on: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = Isolated(cpu_seconds=60, wait_seconds=120, output_bytes=64 * MIB, memory_bytes=192 * MIB)
    monkeypatch.setattr(apart, "_ROWS", readers)
    bomb = HEADER + f"{phone(0)},Ann\n".encode() * 6_000 + b"," * 25_000_000
    answer = await asked(on, await put(on, bomb, "march.csv"))
    await rejected(on, answer, "march.csv: Reading it takes more than 192 MB of memory")
    assert not on.world.letters()


async def test_markup_that_is_nested_without_end_is_refused_by_name(on: Platform) -> None:
    deep = changed(sheet(), "xl/worksheets/sheet1.xml", lambda body: b"<a>" * 3_000_000)
    await refused(on, await asked(on, await put(on, deep, "deep.xlsx")), "audience.uploadId", "deep.xlsx: ")


async def test_a_long_row_among_the_first_is_no_quote_that_was_never_closed(on: Platform) -> None:
    await on.people(range(3))
    note = "x" * 30_000
    body = f"Phone,Name,Notes,More\n{phone(0)},Ann,{note},{note}\n{phone(1)},Bob,,\n{phone(2)},Cid,,\n".encode()
    upload = await put(on, body)
    shown = (await on.api.get(f"/api/bulk/uploads/{upload}")).json()
    assert shown["columns"] == ["Phone", "Name", "Notes", "More"]
    assert [sample[1] for sample in shown["samples"]] == ["Ann", "Bob", "Cid"]
    answer = await asked(on, upload, purpose="service")
    assert answer.status_code == 202, answer.text
    assert (await on.run(answer.json()["jobId"]))["counts"]["sent"] == 3


async def test_a_cell_beyond_measure_is_refused_with_what_it_may_be(on: Platform) -> None:
    body = HEADER + f"{phone(0)},{'x' * 40_000}\n".encode()
    reported = await refused(
        on, await asked(on, await put(on, body)), "audience.uploadId", "longer than 32,768 characters"
    )
    assert "Row 2" in reported["errors"][0]["detail"]


@pytest.mark.parametrize("between", ["\u2028", "\u0085", "\x1c"])
async def test_a_cell_with_a_separator_of_lines_is_one_cell(on: Platform, between: str) -> None:
    await on.people(range(2))
    body = f"Phone,Name\n{phone(0)},Ann{between}Lee\n{phone(1)},Bob\n".encode()
    mapping = {"address": "Phone", "variables": {"1": "Name"}}
    answer = await asked(on, await put(on, body), mapping=mapping, purpose="service")
    job = await on.run(answer.json()["jobId"])
    assert (job["planned"], job["counts"]["sent"]) == (2, 2)


async def test_rows_that_are_long_are_cut_into_parts_by_their_bytes_and_none_is_lost(on: Platform) -> None:
    await on.people([0, 299])
    body = b"Phone,Name,Notes\n" + b"".join(f"{phone(n)},P,{'y' * 32_000}\n".encode() for n in range(300))
    upload = await put(on, body)
    job = (await asked(on, upload, purpose="service")).json()["jobId"]
    assert (await on.run(job))["counts"]["sent"] == 2
    row = await on.world.row("bulk", Upload, upload)
    assert row is not None
    assert (row.rows, row.parts) == (300, 2)
