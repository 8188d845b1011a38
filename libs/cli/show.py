"""Terminal output: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

out = Console()
if not out.is_terminal and "COLUMNS" not in os.environ:
    out.width = 400  # one row per line, for tools such as ``grep``
errors = Console(stderr=True)

#: Characters between two columns; minimum width of a truncated column.
GAP, MIN_COLUMN_WIDTH = 2, 20
#: Columns of ids.
IDS = frozenset({"dead letter", "job", "message", "contact", "entry"})
COLOURS = {
    "ALARM": "bold red", "BROKEN": "bold red", "well": "green",
    "waiting": "yellow", "replaying": "cyan", "replayed": "green", "quarantined": "red", "discarded": "dim",
    "ready": "green", "already_applied": "blue", "superseded": "blue", "refused": "yellow", "schema_too_new": "red",
    "dies_again": "red", "unknown": "magenta", "not_waiting": "dim", "queued": "yellow", "deferred": "yellow",
    "claimed": "cyan", "uncertain": "magenta", "sent": "cyan", "delivered": "green", "read": "green", "failed": "red",
    "suppressed": "red", "expired": "red", "cancelled": "dim", "received": "green", "running": "cyan", "done": "green",
    "paused": "yellow", "pausing": "yellow", "cancelling": "yellow",
}  # fmt: skip


def can_ask() -> bool:
    """Whether standard input is a terminal."""
    return sys.stdin.isatty()


def as_json(value: Any) -> None:
    """Print the API's answer unchanged, for tools such as ``jq``."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], cut: str | None = None) -> None:
    """Print a table. Cells are never interpreted as markup. Ids are never wrapped, so that they can be copied. The column
    ``cut``, the last one, is truncated at the end of the line; other columns are wrapped."""
    if title:
        say(title, "bold")
    cells = [[cell(each) for each in row] for row in rows]
    widths = [max([cell_len(name), *(row[n].cell_len for row in cells)]) for n, name in enumerate(columns)]
    if cut is not None:
        room = max(MIN_COLUMN_WIDTH, out.width - sum(widths[:-1]) - GAP * (len(columns) - 1))
        for row in cells:
            row[-1].truncate(room, overflow="ellipsis")
    made = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns), padding=(0, GAP, 0, 0))
    for name, width in zip(columns, widths, strict=True):
        made.add_column(name, min_width=width if name in IDS else None, no_wrap=name in IDS, overflow="fold")
    for row in cells:
        made.add_row(*row)
    out.print(made)


def cell(value: Any) -> Text:
    text = "" if value is None else str(value)
    return Text(safe(text), style=COLOURS.get(text, ""))


def say(text: str, style: str = "") -> None:
    """Print one line, wrapped to the width of the terminal."""
    out.print(Text(safe(text), style=style))


def safe(text: str) -> str:
    """Replace control characters: a dead letter may contain any, and a terminal would interpret them."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text)


def short(text: str | None, length: int = 60) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= length else line[: length - 1] + "…"


def when(text: str | None) -> str:
    """An ISO 8601 time of the API, to the second."""
    return (text or "")[:19].replace("T", " ")


def local_time() -> str:
    """The current local time."""
    return datetime.now().astimezone().strftime("%H:%M:%S")


def ago(text: str | None) -> str:
    """The age of an ISO 8601 time, e.g. ``5 min``."""
    if not text:
        return ""
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def back(age: str | None) -> str | None:
    """``90s``, ``15m``, ``2h``, ``3d`` before now, in the API's format."""
    if age is None:
        return None
    found = re.fullmatch(r"(\d+)([smhd])", age)
    if not found:
        raise typer.BadParameter(f"{age!r} is not an age; write 90s, 15m, 2h or 3d")
    moment = datetime.now(UTC) - timedelta(seconds=int(found[1]) * _UNITS[found[2]])
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
