"""An upload as parts: so many rows to an object, each read and planned on its own, so that a million rows take no more memory
than ten thousand and a worker that dies loses a few seconds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from libs.common.handle.context import Context
from services.bulk.audience.read import BadFile, Row, is_xlsx, read
from services.bulk.audience.sources import Upload
from services.bulk.audience.storage import Files

#: Rows of one part.
MAX_PART_ROWS = 5_000
MAX_ROWS = 2_000_000
MAX_FILE_BYTES = 500_000_000
MAX_SHEET_BYTES = 50_000_000
HEAD_BYTES = 65_536
NOBODY = "There is a header and no row. Export it again with one person a row."


@dataclass(frozen=True)
class Shape:
    """What was found in a file."""

    columns: list[str]
    samples: list[list[str]]


async def inspected(upload: Upload, ctx: Context) -> Shape:
    """The columns and the first rows. Of a CSV only the head is fetched. Raises BadFile."""
    files = Files(ctx)
    size = await files.size(upload.object_key)
    check_size(size, sheet=upload.filename.lower().endswith(".xlsx"))
    head = await files.head(upload.object_key, HEAD_BYTES)
    if head.startswith(b"PK\x03\x04"):
        check_size(size, sheet=True)
        async with files.on_disk(upload.object_key) as path:
            return _require_rows(await asyncio.to_thread(_shape, path))
    if size is not None and size > len(head):
        # Whole rows only; of UTF-16 whole characters.
        head = head[: head.rfind(b"\n") & ~1] if head.rfind(b"\n") > 0 else head
        return await asyncio.to_thread(_shape_of_bytes, head)
    return _require_rows(await asyncio.to_thread(_shape_of_bytes, head))


def _require_rows(shape: Shape) -> Shape:
    """Of a file that was seen whole. Raises BadFile."""
    if not shape.samples:
        raise BadFile(NOBODY)
    return shape


def check_size(size: int | None, sheet: bool) -> None:
    """Raises BadFile."""
    if not size:
        raise BadFile("The file is empty or was not uploaded. PUT it to the address that creating the upload gave.")
    largest = MAX_SHEET_BYTES if sheet else MAX_FILE_BYTES
    if size > largest:
        raise BadFile(
            f"It has {size:,} bytes; at most {largest:,} can be read. "
            + ("Save it as CSV (UTF-8)." if sheet else "Split it into several files.")
        )


def _shape_of_bytes(head: bytes) -> Shape:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="wecare-") as folder:
        path = Path(folder) / "head"
        path.write_bytes(head)
        return _shape(path)


def _shape(path: Path) -> Shape:
    columns, rows = read(path)
    return Shape(columns, [row.cells for row in islice(rows, 5)])


async def split(upload: Upload, ctx: Context) -> tuple[list[str], int, int]:
    """Write the parts; returns columns, rows and parts. Again is harmless. Raises BadFile, and then nothing counts."""
    files = Files(ctx)
    check_size(await files.size(upload.object_key), sheet=False)
    async with files.on_disk(upload.object_key) as path:
        if is_xlsx(path):
            check_size(path.stat().st_size, sheet=True)
        columns, rows = await asyncio.to_thread(read, path)
        total = part = 0
        while True:
            # In a thread, so that reading a large file does not keep the process from anything else.
            taken = await asyncio.to_thread(_take, rows)
            if not taken:
                break
            total += len(taken)
            if total > MAX_ROWS:
                raise BadFile(f"It has more than {MAX_ROWS:,} rows. Split it into several files.")
            body = "\n".join(json.dumps([row.number, row.cells], ensure_ascii=False) for row in taken)
            await files.put(part_key(upload.prefix, part), body.encode())
            part += 1
    if not total:
        raise BadFile(NOBODY)
    return columns, total, part


def _take(rows: Iterator[Row]) -> list[Row]:
    return list(islice(rows, MAX_PART_ROWS))


def part_key(prefix: str, part: int) -> str:
    return f"{prefix}{part:05d}.jsonl"


async def rows_of(prefix: str, part: int, ctx: Context) -> list[tuple[int, Any]]:
    """``[(row number, cells)]`` of one part; cells are a list of text, or a contact's id."""
    body = await Files(ctx).get(part_key(prefix, part))
    return [(number, cells) for number, cells in map(json.loads, body.decode().splitlines())]
