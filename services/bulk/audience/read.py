"""Reads a recipients file as rows of text: CSV in any encoding and with any delimiter, or the first sheet of an XLSX.
All of it runs in a child process (``apart.py``).

Reads row by row from a file on disk, so memory use does not depend on its size (except for the string table of an XLSX,
which is read completely and therefore limited). The first row contains the column names, unless it contains an address:
the columns are then numbered.
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
#: Maximum size of an XLSX after decompression, and of its string table, which is held in memory.
MAX_UNPACKED_BYTES, MAX_STRINGS_BYTES = 400_000_000, 25_000_000
_STRINGS = "xl/sharedStrings.xml"
#: The signature of old Excel files, and of newer ones with a password.
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_ADDRESS = re.compile(r"\s*(\+?[\d\s()./-]{7,}|[^@\s]+@[^@\s]+\.[^@\s]+)\s*")

_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


class BadFile(Unreadable):
    """The file cannot be read; the text names the position and the remedy."""

    def __init__(self, detail: str, row: int | None = None) -> None:
        super().__init__(f"Row {row}: {detail}" if row else detail)


@dataclass(frozen=True)
class Row:
    """One row. ``number`` is its row number in the file, from 1."""

    number: int
    cells: list[str]


def is_xlsx(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def read(path: Path) -> tuple[list[str], Iterator[Row]]:
    """Returns the column names, and the rows. Raises BadFile, also during iteration."""
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
    """Makes the column names unique."""
    names: list[str] = []
    for n, cell in enumerate(cells, 1):
        name = " ".join(cell.split())[:100] or f"column {n}"
        names.append(name if name not in names else f"{name} ({n})")
    return names


# -- CSV -------------------------------------------------------------------------------------------


def encoding_of(path: Path) -> str:
    """Detects the encoding: by the byte order mark, by valid UTF-8 throughout, or else by guessing. Raises BadFile."""
    with path.open("rb") as file:
        head = file.read(SNIFFED_BYTES)
        for bom, name in _BOMS:
            if head.startswith(bom):
                return name
        if b"\0" in head:
            # Text has no NUL bytes, except UTF-16 without a byte order mark.
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
    """Whether nearly all non-ASCII bytes are valid UTF-8: another encoding is then unlikely, and guessing one would
    corrupt names."""
    beyond = sum(byte > 127 for byte in sample)
    return sum(map(len, _UTF8.findall(sample))) > 0.8 * beyond


def _guessed(sample: bytes) -> str:
    from charset_normalizer import (
        from_bytes,  # imported only where needed: a child that reads UTF-8 starts in half the time
    )

    best = from_bytes(sample).best()
    if best is None:
        raise BadFile("Its encoding cannot be told. Save it as CSV (UTF-8).")
    return str(best.encoding)


def delimiter_of(text: str) -> str:
    """Returns the delimiter that splits the first rows into the largest equal number of columns."""
    lines = text.splitlines()[:20]

    def fit(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            # With a wrong delimiter a long row is one cell, longer than the maximum.
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
    """Reads the first sheet that has cells. Any exception of the library on a malformed file becomes BadFile."""
    import openpyxl

    try:
        _check_unpacked(path)
        # Opened here because openpyxl validates the file name extension of a path.
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            if not book.worksheets:
                raise BadFile("It has no sheet with cells. Put the people on the first sheet.")
            sheet = book.worksheets[0]
            # The sheet size stated in the file may be wrong.
            sheet.reset_dimensions()
            for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
                yield Row(number, [_text(value) for value in values])
    except (BadFile, MemoryError):
        raise
    except Exception as error:
        raise BadFile(f"It is no XLSX that can be read ({type(error).__name__}). Save it as CSV (UTF-8).") from None


def _check_unpacked(path: Path) -> None:
    """Raises BadFile for a file that would exhaust the memory."""
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
