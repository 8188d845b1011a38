"""CSV for spreadsheets: text that a spreadsheet would run is shown instead. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

#: What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?\d+")


def safe(cell: object) -> str:
    """The cell as text. A plain number (also one with ``+``: a phone number) harms nobody and stays as it is."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """RFC 4180 with a byte order mark, so that spreadsheets see UTF-8; no cell is run as a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([safe(cell) for cell in row] for row in rows)
    return b"\xef\xbb\xbf" + text.getvalue().encode()
