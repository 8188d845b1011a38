"""Cells for spreadsheets: text that a spreadsheet would run is shown instead. Pure."""

from __future__ import annotations

import re

#: What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?\d+")


def safe(cell: object) -> str:
    """The cell as text. A plain number (also one with ``+``: a phone number) harms nobody and stays as it is."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
