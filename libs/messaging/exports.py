"""CSV that is safe in spreadsheets (no cell is evaluated as a formula), and exports: CSV files in the service's bucket,
downloaded by a presigned URL."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from libs.common.clock import Timestamp, derived_id
from libs.common.declare.service import Bucket
from libs.common.errors import Problem
from libs.common.handle.context import Context
from libs.common.store.item import Item, Table

CSV_TYPE = "text/csv; charset=utf-8"
#: Characters that begin a formula in spreadsheets (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?\d+")

URL_SECONDS = 300
RETENTION = timedelta(days=1)
EXPORTS = Bucket("exports", days=1)


class CsvExport(Item):
    """The row of a CSV in the bucket."""

    TABLE: ClassVar[Table] = Table("export", key="exportId", ttl="expiresAt")

    export_id: str
    rows: int
    created_at: Timestamp
    expires_at: int

    def file_key(self) -> str:
        return f"{self.export_id}.csv"


E = TypeVar("E", bound=CsvExport)


def safe(cell: object) -> str:
    """Returns the cell as text, with ``'`` before a formula. A plain number (also with ``+``: a phone number) is
    harmless and stays unchanged."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Returns the rows as CSV (RFC 4180), with every cell made safe."""
    text = io.StringIO()
    csv.writer(text).writerows([safe(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Returns a complete file, with a byte order mark, so that spreadsheets detect UTF-8."""
    return b"\xef\xbb\xbf" + csv_lines([columns, *rows])


async def create(
    model: type[E], columns: Sequence[str], rows: Sequence[Sequence[object]], ctx: Context, **facts: Any
) -> E:
    """Writes the file and stages its row. The id is derived from the request, so a repeated request writes the same
    object."""
    made = model(
        export_id=derived_id(ctx.required_cause.id, f"{ctx.service.name}-export"),
        rows=len(rows),
        created_at=ctx.now,
        expires_at=int((ctx.now + RETENTION).timestamp()),
        **facts,
    )
    await ctx.files.put(ctx.bucket(EXPORTS.name), made.file_key(), as_csv(columns, rows), CSV_TYPE)
    ctx.stage(ctx.insert(made))
    return made


async def read(model: type[E], export_id: str, label: str, ctx: Context) -> tuple[E, str]:
    """Returns the export and the URL to download it as ``<label>-<day>.csv``. Raises Problem 404."""
    made = await ctx.get(model, export_id)
    if made is None:
        raise Problem(404, "EXPORT_NOT_FOUND", "There is no such export", "Exports are kept for a day.")
    name = f"{label}-{made.created_at:%Y-%m-%d}.csv"
    return made, await ctx.files.download_url(ctx.bucket(EXPORTS.name), made.file_key(), "text/csv", name, URL_SECONDS)
