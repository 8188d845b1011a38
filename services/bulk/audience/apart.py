"""A file of people, read in a child process: what the API shows of it and what planning needs, as JSON. What is too slow or needs
too much memory is a :class:`BadFile` that says so."""

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

#: Of a cell that is shown as a sample.
MAX_SAMPLE_CHARACTERS = 500
SAMPLES = 5
#: A part holds fewer rows where they are long.
MAX_PART_BYTES = 8 * MIB
#: Somebody waits for the first rows: an answer of API Gateway takes at most 29 s.
_SHAPES = Isolated(cpu_seconds=8, wait_seconds=20, output_bytes=4 * MIB)
#: Two million rows of CSV take 10 s, of XLSX (50 MB) 150 s. The output goes to S3 part by part.
_ROWS = Isolated(cpu_seconds=300, wait_seconds=1200, output_bytes=4096 * MIB)

log = structlog.get_logger()


@dataclass(frozen=True)
class Shape:
    """What was found in a file."""

    columns: list[str]
    samples: list[list[str]]


async def shape_of_file(path: Path) -> Shape:
    """The columns and the first rows. Raises BadFile, Busy."""
    return await _shape(_shape_apart, str(path))


async def shape_of_head(head: bytes) -> Shape:
    """The same of the first bytes of a CSV. Raises BadFile, Busy."""
    return await _shape(_head_apart, head)


async def _shape(function: Any, argument: object) -> Shape:
    async with aclosing(_frames(_SHAPES, function, argument)) as frames:
        return Shape(**json.loads(b"".join([frame async for frame in frames])))


async def parts_of_file(path: Path, most_rows: int) -> AsyncGenerator[bytes, None]:
    """First the names of the columns, a JSON array; then parts: each a line of JSON, ``[row number, cells]``, for each of at most
    ``most_rows`` rows. Raises BadFile, Busy. Close it (``aclosing``)."""
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
    """What stands beyond the last column has no name and is not needed."""
    return json.dumps([row.number, row.cells[:width]], ensure_ascii=False).encode()
