"""A file of people as rows of text: CSV in whatever encoding and with whatever delimiter, or the first sheet of an XLSX.

All of it runs in a child process (``apart.py``). Row by row from a file on disk, so that its size does not matter (but for an
XLSX, whose table of strings is read whole and which is therefore limited). The first row names the columns, unless it holds an
address: then they are called by number.
"""

from __future__ import annotations

import codecs
import csv
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import chain
from pathlib import Path
from typing import Any

from libs.common.errors import Unreadable

SNIFFED_BYTES = 65536
DELIMITERS = ",;\t|"
MAX_CELL_LENGTH = 32_768
MAX_COLUMNS = 200
#: What an XLSX may come to once unpacked, and its table of strings, which is held in memory as a whole.
MAX_UNPACKED_BYTES, MAX_STRINGS_BYTES = 400_000_000, 25_000_000
_STRINGS = "xl/sharedStrings.xml"
#: How files of older Excels begin, and newer ones that have a password.
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_ADDRESS = re.compile(r"\s*(\+?[\d\s()./-]{7,}|[^@\s]+@[^@\s]+\.[^@\s]+)\s*")

_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


class BadFile(Unreadable):
    """The file cannot be read; the text says where and what to do."""

    def __init__(self, detail: str, row: int | None = None) -> None:
        super().__init__(f"Row {row}: {detail}" if row else detail)


@dataclass(frozen=True)
class Row:
    """``number`` is the row's in the file, from 1."""

    number: int
    cells: list[str]


def is_xlsx(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def read(path: Path) -> tuple[list[str], Iterator[Row]]:
    """The names of the columns, and the rows. Raises BadFile, also while rows are taken."""
    if not path.stat().st_size:
        raise BadFile("The file is empty. Export it again with a header row and one person a row.")
    with path.open("rb") as file:
        if file.read(len(_OLE)) == _OLE:
            raise BadFile(
                "It is an Excel file with a password, or of an old kind (.xls). Save it as XLSX without one, or CSV."
            )
    rows = _sheet(path) if is_xlsx(path) else _csv(path)
    rows = (row for row in rows if any(cell.strip() for cell in row.cells))
    first = next(rows, None)
    if first is None:
        raise BadFile("There is no row in the file. Export it again with a header row and one person a row.")
    if len(first.cells) > MAX_COLUMNS:
        raise BadFile(f"It has more than {MAX_COLUMNS} columns: is the delimiter a rare one? Use comma or semicolon.")
    if any(_ADDRESS.fullmatch(cell) for cell in first.cells):
        return _names([""] * len(first.cells)), chain([first], rows)
    return _names(first.cells), rows


def _names(cells: list[str]) -> list[str]:
    """Every column has a name of its own."""
    names: list[str] = []
    for n, cell in enumerate(cells, 1):
        name = " ".join(cell.split())[:100] or f"column {n}"
        names.append(name if name not in names else f"{name} ({n})")
    return names


# -- CSV -------------------------------------------------------------------------------------------


def encoding_of(path: Path) -> str:
    """By its mark, by being UTF-8 from end to end, or else by the best guess. Raises BadFile."""
    with path.open("rb") as file:
        head = file.read(SNIFFED_BYTES)
        for bom, name in _BOMS:
            if head.startswith(bom):
                return name
        if b"\0" in head:
            # Text has none, but for UTF-16 without its mark.
            even, odd = head[0::2].count(0), head[1::2].count(0)
            if max(even, odd) < len(head) // 5:
                raise BadFile("It is not a text file. Save it as CSV (UTF-8) or XLSX.")
            return "utf-16-le" if odd > even else "utf-16-be"
        decoder, at, piece, lines = codecs.getincrementaldecoder("utf-8")(), 0, head, 1
        while True:
            try:
                decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                around = max(0, at + error.start - SNIFFED_BYTES // 2)
                file.seek(around)
                sample = file.read(SNIFFED_BYTES)
                if _mostly_utf8(sample):
                    raise BadFile(
                        "Most of it is UTF-8, but this is not: was it put together from several files? "
                        "Correct the row, or save all of it anew as CSV (UTF-8).",
                        lines + piece[: error.start].count(b"\n"),
                    ) from None
                return _guessed(sample)
            if not piece:
                return "utf-8"
            lines += piece.count(b"\n")
            at, piece = at + len(piece), file.read(1 << 20)


def _mostly_utf8(sample: bytes) -> bool:
    """Whether nearly all that is not ASCII would be UTF-8: then no other encoding is meant, and guessing one garbles names."""
    beyond = sum(byte > 127 for byte in sample)
    return sum(map(len, _UTF8.findall(sample))) > 0.8 * beyond


def _guessed(sample: bytes) -> str:
    from charset_normalizer import (
        from_bytes,  # loaded where it is needed: a child that reads UTF-8 starts in half the time
    )

    best = from_bytes(sample).best()
    if best is None:
        raise BadFile("Its encoding cannot be told. Save it as CSV (UTF-8).")
    return str(best.encoding)


def delimiter_of(text: str) -> str:
    """The one that cuts the first rows into equally many columns, the most of them."""
    lines = text.splitlines()[:20]

    def fit(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            # With a delimiter that is not the file's a long row is one cell, longer than any may be.
            return 0.0, 0
        if not widths or widths[0] < 2:
            return 0.0, 0
        return sum(width == widths[0] for width in widths) / len(widths), widths[0]

    best = max(DELIMITERS, key=fit)
    return best if fit(best)[1] else ","


def _csv(path: Path) -> Iterator[Row]:
    encoding = encoding_of(path)
    number = 0
    try:
        with path.open(encoding=encoding, newline="") as file:
            csv.field_size_limit(MAX_CELL_LENGTH)
            delimiter = delimiter_of(file.read(SNIFFED_BYTES))
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            for cells in reader:
                number = reader.line_num
                yield Row(number, cells)
    except UnicodeError as error:
        raise BadFile(f"It is not {encoding} as it seemed ({error.reason if isinstance(error, UnicodeDecodeError) else 'no text'}). "
                      "Save it as CSV (UTF-8).", number + 1) from None  # fmt: skip
    except csv.Error as error:
        raise BadFile(f"{error}: is a cell longer than {MAX_CELL_LENGTH:,} characters, or a quote never closed? "
                      "Save it anew as CSV (UTF-8).", number + 1) from None  # fmt: skip


# -- XLSX ------------------------------------------------------------------------------------------


def _sheet(path: Path) -> Iterator[Row]:
    """The first sheet that has cells. Whatever a broken file makes the library raise, it is a broken file."""
    import openpyxl

    try:
        _check_unpacked(path)
        # Opened by us: openpyxl judges a path by its name.
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            if not book.worksheets:
                raise BadFile("It has no sheet with cells. Put the people on the first sheet.")
            sheet = book.worksheets[0]
            # How large the file says that the sheet is need not be true.
            sheet.reset_dimensions()
            for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
                yield Row(number, [_text(value) for value in values])
    except (BadFile, MemoryError):
        raise
    except Exception as error:
        raise BadFile(f"It is no XLSX that can be read ({type(error).__name__}). Save it as CSV (UTF-8).") from None


def _check_unpacked(path: Path) -> None:
    """Raises BadFile for a file that would fill the memory."""
    with zipfile.ZipFile(path) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    if sum(sizes.values()) > MAX_UNPACKED_BYTES or sizes.get(_STRINGS, 0) > MAX_STRINGS_BYTES:
        raise BadFile("It is too large once unpacked. Save it as CSV (UTF-8).")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value)[:MAX_CELL_LENGTH]
