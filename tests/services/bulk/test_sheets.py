"""Sheets that are not as they should be: read whole, or refused with what to do; never an error of ours."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from openpyxl.chart import BarChart

from services.bulk.audience.read import BadFile, read


def sheet(rows: int = 100) -> bytes:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.append(["Phone", "Name"])
    for n in range(rows):
        page.append([f"+120255501{n % 100:02d}", f"Person {n}"])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def changed(data: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            body = old.read(entry)
            new.writestr(entry.filename, change(body) if entry.filename == name else body)
        if name not in old.namelist():
            new.writestr(name, change(b""))
    return out.getvalue()


def rows_of(path: Path, data: bytes) -> list[list[str]]:
    path.write_bytes(data)
    _, rows = read(path)
    return [row.cells for row in rows]


@pytest.mark.parametrize("dimension", ["A1:B3", "A1", "A1:XFD1048576"])
def test_all_rows_are_read_whatever_size_the_sheet_claims(tmp_path: Path, dimension: str) -> None:
    def claim(body: bytes) -> bytes:
        assert b"<dimension" in body
        return re.sub(rb'<dimension ref="[^"]*"', f'<dimension ref="{dimension}"'.encode(), body)

    found = rows_of(tmp_path / "a", changed(sheet(), "xl/worksheets/sheet1.xml", claim))
    assert len(found) == 100
    assert found[0][:2] == ["+12025550100", "Person 0"]


def test_a_chart_before_the_people_is_passed_over(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(io.BytesIO(sheet(3)))
    book.create_chartsheet("Chart", 0).add_chart(BarChart())
    out = io.BytesIO()
    book.save(out)
    assert len(rows_of(tmp_path / "a", out.getvalue())) == 3


@pytest.mark.parametrize(
    "data",
    [
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
        b"PK\x03\x04" + b"nothing",
        sheet()[:3000],
        changed(sheet(), "xl/worksheets/sheet1.xml", lambda body: body[:200]),
        changed(sheet(), "xl/worksheets/sheet1.xml", lambda body: b"<a><b></a>"),
        changed(sheet(), "xl/workbook.xml", lambda body: b"no xml"),
        changed(sheet(), "xl/sharedStrings.xml", lambda body: b"x" * 26_000_000),
    ],
    ids=["password", "no archive", "cut", "cut sheet", "broken sheet", "broken book", "strings beyond measure"],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BadFile, match="Save it as"):
        rows_of(tmp_path / "a", data)
