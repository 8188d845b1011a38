"""Reads a recipients file in a child process: the columns and samples that the API returns, and the rows for planning,
as JSON. Raises :class:`BadFile`, with the reason, for a file that takes too much time or memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import structlog

from libs.common.errors import Unreadable
from libs.common.isolated import MIB, Isolated, OverLimit, ReaderFailed
from services.bulk.audience.read import BadFile, Row, read

#: Maximum length of a sample cell.
MAX_SAMPLE_CHARACTERS = 500
SAMPLES = 5
#: A part has fewer rows if they are long.
MAX_PART_BYTES = 8 * MIB
#: A client waits for the first rows: an API Gateway response takes at most 29 s.
_SHAPES = Isolated(cpu_seconds=8, wait_seconds=20, output_bytes=4 * MIB)
#: Two million rows take 10 s as CSV, 150 s as XLSX (50 MB). The output is written to S3 part by part.
_ROWS = Isolated(cpu_seconds=300, wait_seconds=1200, output_bytes=4096 * MIB)

log = structlog.get_logger()


@dataclass(frozen=True)
class Shape:
    """The columns and sample rows of a file."""

    columns: list[str]
    samples: list[list[str]]


async def shape_of_file(path: Path) -> Shape:
    """Returns the columns and the first rows. Raises BadFile, Busy."""
    return await _shape(_shape_apart, str(path))


async def shape_of_head(head: bytes) -> Shape:
    """Returns the columns and the first rows of a CSV from its first bytes. Raises BadFile, Busy."""
    return await _shape(_head_apart, head)


async def _shape(function: Any, argument: object) -> Shape:
    async with aclosing(_frames(_SHAPES, function, argument)) as frames:
        return Shape(**json.loads(b"".join([frame async for frame in frames])))


async def parts_of_file(path: Path, most_rows: int) -> AsyncGenerator[bytes, None]:
    """Yields the column names, a JSON array; then parts: each has a line of JSON, ``[row number, cells]``, for each of
    at most ``most_rows`` rows. Raises BadFile, Busy. The caller must close it (``aclosing``)."""
    async with aclosing(_frames(_ROWS, _parts_apart, str(path), most_rows)) as frames:
        async for frame in frames:
            yield frame


async def _frames(readers: Isolated, function: Any, *arguments: object) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(readers.frames(function, *arguments)) as frames:
            async for frame in frames:
                yield frame
    except Unreadable as why:
        raise BadFile(str(why)) from None
    except OverLimit as over:
        raise BadFile(
            f"Reading it takes {over.limit}. Save it as CSV (UTF-8), or split it into several files."
        ) from None
    except ReaderFailed as error:
        log.error("a file made its reader fail", why=str(error))
        raise BadFile("It made the program that reads it fail. Save it anew as CSV (UTF-8).") from None


# -- in the child ----------------------------------------------------------------------------------


def _shape_apart(path: str) -> Iterator[bytes]:
    columns, rows = read(Path(path))
    samples = [[cell[:MAX_SAMPLE_CHARACTERS] for cell in row.cells] for row in islice(rows, SAMPLES)]
    yield json.dumps({"columns": columns, "samples": [cells[: len(columns)] for cells in samples]}).encode()


def _head_apart(head: bytes) -> Iterator[bytes]:
    with tempfile.TemporaryDirectory(prefix="wecare-") as folder:
        path = Path(folder) / "head"
        path.write_bytes(head)
        yield from _shape_apart(str(path))


def _parts_apart(path: str, most_rows: int) -> Iterator[bytes]:
    columns, rows = read(Path(path))
    yield json.dumps(columns).encode()
    lines: list[bytes] = []
    size = 0
    for row in rows:
        line = _line(row, len(columns))
        if lines and (len(lines) == most_rows or size + len(line) > MAX_PART_BYTES):
            yield b"\n".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield b"\n".join(lines)


def _line(row: Row, width: int) -> bytes:
    """Encodes a row; cells beyond the last column have no name and are dropped."""
    return json.dumps([row.number, row.cells[:width]], ensure_ascii=False).encode()
