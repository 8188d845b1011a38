"""Splits an upload into parts: objects of a limited number of rows (fewer if they are long). Each part is read and
planned separately, so memory use does not depend on the number of rows, and a crashed worker loses only a few seconds
of work."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Any

from libs.common.handle.context import Context
from services.bulk.audience.apart import Shape, parts_of_file, shape_of_file, shape_of_head
from services.bulk.audience.read import BadFile, is_xlsx
from services.bulk.audience.sources import Upload
from services.bulk.audience.storage import Files

#: Maximum rows of one part.
MAX_PART_ROWS = 5_000
MAX_ROWS = 2_000_000
MAX_FILE_BYTES = 500_000_000
MAX_SHEET_BYTES = 50_000_000
HEAD_BYTES = 65_536
NOBODY = "There is a header and no row. Export it again with one person a row."


async def inspected(upload: Upload, ctx: Context) -> Shape:
    """Returns the columns and the first rows. Of a CSV only the beginning is downloaded. Raises BadFile."""
    files = Files(ctx)
    size = await files.size(upload.object_key)
    check_size(size, sheet=upload.filename.lower().endswith(".xlsx"))
    head = await files.head(upload.object_key, HEAD_BYTES)
    if head.startswith(b"PK\x03\x04"):
        check_size(size, sheet=True)
        async with files.on_disk(upload.object_key) as path:
            return _require_rows(await shape_of_file(path))
    if size is not None and size > len(head):
        # Cuts at the end of a row, and of a character in UTF-16.
        head = head[: head.rfind(b"\n") & ~1] if head.rfind(b"\n") > 0 else head
        return await shape_of_head(head)
    return _require_rows(await shape_of_head(head))


def _require_rows(shape: Shape) -> Shape:
    """Requires rows in a file that was read completely. Raises BadFile."""
    if not shape.samples:
        raise BadFile(NOBODY)
    return shape


def check_size(size: int | None, sheet: bool) -> None:
    """Checks the size of a file. Raises BadFile."""
    if not size:
        raise BadFile("The file is empty or was not uploaded. PUT it to the address that creating the upload gave.")
    largest = MAX_SHEET_BYTES if sheet else MAX_FILE_BYTES
    if size > largest:
        raise BadFile(
            f"It has {size:,} bytes; at most {largest:,} can be read. "
            + ("Save it as CSV (UTF-8)." if sheet else "Split it into several files.")
        )


async def split(upload: Upload, ctx: Context) -> tuple[list[str], int, int]:
    """Writes the parts; returns columns, rows and number of parts. Idempotent. Raises BadFile; the parts written are
    then not used."""
    files = Files(ctx)
    check_size(await files.size(upload.object_key), sheet=False)
    async with files.on_disk(upload.object_key) as path:
        if is_xlsx(path):
            check_size(path.stat().st_size, sheet=True)
        total = part = 0
        async with aclosing(parts_of_file(path, MAX_PART_ROWS)) as found:
            columns = json.loads(await anext(found))
            async for body in found:
                total += body.count(b"\n") + 1
                if total > MAX_ROWS:
                    raise BadFile(f"It has more than {MAX_ROWS:,} rows. Split it into several files.")
                await files.put(part_key(upload.prefix, part), body)
                part += 1
    if not total:
        raise BadFile(NOBODY)
    return columns, total, part


def part_key(prefix: str, part: int) -> str:
    return f"{prefix}{part:05d}.jsonl"


async def rows_of(prefix: str, part: int, ctx: Context) -> list[tuple[int, Any]]:
    """Returns ``[(row number, cells)]`` of one part; cells are a list of text, or a contact's id."""
    body = await Files(ctx).get(part_key(prefix, part))
    return [(number, cells) for number, cells in map(json.loads, body.split(b"\n"))]
