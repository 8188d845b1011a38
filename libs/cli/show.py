"""How things look in a terminal: tables for people, JSON for programs."""

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
    out.width = 400  # for ``grep`` and the like: a row is a line
errors = Console(stderr=True)

#: Between two columns; and what a column that is cut keeps at least.
GAP, MIN_COLUMN_WIDTH = 2, 20
#: Columns of ids.
IDS = frozenset({"letter", "job", "message", "contact", "entry"})
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
    """Whether somebody sits there to answer."""
    return sys.stdin.isatty()


def as_json(value: Any) -> None:
    """Exactly what the API answered, for ``jq`` and the like."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], cut: str | None = None) -> None:
    """A table; every cell is shown as it is, never read as markup. Ids are never broken, so that they can be copied; the column
    called ``cut``, the last one, ends where the line does, any other goes on in the next line."""
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
    """One line, wrapped where it is too long for the terminal."""
    out.print(Text(safe(text), style=style))


def safe(text: str) -> str:
    """Without control characters: what died may hold anything, and a terminal obeys."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text)


def short(text: str | None, length: int = 60) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= length else line[: length - 1] + "…"


def when(text: str | None) -> str:
    """A time of ours, to the second."""
    return (text or "")[:19].replace("T", " ")


def local_time() -> str:
    """Of this machine, now."""
    return datetime.now().astimezone().strftime("%H:%M:%S")


def ago(text: str | None) -> str:
    """How long ago that was."""
    if not text:
        return ""
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def back(age: str | None) -> str | None:
    """``90s``, ``15m``, ``2h``, ``3d`` before now, as the API takes it."""
    if age is None:
        return None
    found = re.fullmatch(r"(\d+)([smhd])", age)
    if not found:
        raise typer.BadParameter(f"{age!r} is no age; write 90s, 15m, 2h or 3d")
    moment = datetime.now(UTC) - timedelta(seconds=int(found[1]) * _UNITS[found[2]])
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
