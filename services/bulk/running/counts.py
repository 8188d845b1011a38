"""Counts: applies every change of a chunk, and keeps chunk and tally consistent.

Changes that arrive within a few milliseconds of each other are folded together: one read and one write for each chunk
and one for each tally, for any number of reports. Chunk and tally are replaced with a compare-and-swap on the version;
on a conflict the fold is applied again.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from cachetools import LRUCache

from libs.common.aws.batcher import Batcher
from libs.common.handle.compare_and_swap import compare_and_swap
from libs.common.handle.context import Context
from libs.common.store.ops import Write
from libs.common.store.per_store import PerStore
from services.bulk.model import BulkJob
from services.bulk.running.chunks import BulkChunk, BulkTally, group_of
from services.bulk.running.status_string import STATUS_NAMES, from_line

#: How long the first report of a batch waits for others (s), and the maximum batch size. Urgent changes do not wait.
LINGER_SECONDS = 0.25
URGENT_LINGER_SECONDS = 0.004
MAX_BATCH_CHANGES = 2000
#: Maximum rows in a process's cache.
MAX_CACHED_ROWS = 500

#: Returns the changed chunk; the same chunk if there is nothing to change. Pure: it may be called more than once.
Fold = Callable[[BulkChunk], BulkChunk]


@dataclass
class _Change:
    ctx: Context
    job_id: str
    chunk: str
    fold: Fold


@dataclass(frozen=True)
class Folded:
    """The chunk before and after one change; ``after.version`` is that of the row written."""

    before: BulkChunk
    after: BulkChunk

    @property
    def changed(self) -> bool:
        return self.before != self.after


@dataclass
class _StoreBatchers:
    """Batches the changes of one process's store; at most one batch per row is in progress."""

    now: Batcher[_Change, Folded | None] = field(
        default_factory=lambda: Batcher(_send, maximum=MAX_BATCH_CHANGES, linger=URGENT_LINGER_SECONDS)
    )
    soon: Batcher[_Change, Folded | None] = field(
        default_factory=lambda: Batcher(_send, maximum=MAX_BATCH_CHANGES, linger=LINGER_SECONDS)
    )
    #: Cache of rows as last written.
    rows: LRUCache[tuple[str, str], BulkChunk] = field(default_factory=lambda: LRUCache(MAX_CACHED_ROWS))
    tallies: LRUCache[tuple[str, str], BulkTally] = field(default_factory=lambda: LRUCache(MAX_CACHED_ROWS))
    locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def lock(self, job_id: str, row: str) -> asyncio.Lock:
        lock = self.locks.get((job_id, row))
        if lock is None:
            lock = self.locks[job_id, row] = asyncio.Lock()
        return lock


_batchers_of = PerStore(_StoreBatchers)


async def apply(job_id: str, chunk: str, fold: Fold, ctx: Context, *, urgent: bool = True) -> Folded | None:
    """Changes a chunk; returns once chunk and tally are written. None: there is no such chunk. With ``urgent`` False
    the change may wait for others."""
    batchers = _batchers_of.of(ctx.store)
    return await (batchers.now if urgent else batchers.soon).do(_Change(ctx, job_id, chunk, fold))


async def _send(changes: Sequence[_Change]) -> list[Folded | BaseException | None]:
    by_chunk: dict[tuple[str, str], list[_Change]] = defaultdict(list)
    for change in changes:
        by_chunk[change.job_id, change.chunk].append(change)
    keys = list(by_chunk)
    ctx = changes[0].ctx
    done = await asyncio.gather(*(_fold(*key, by_chunk[key], ctx) for key in keys), return_exceptions=True)
    results = dict(zip(keys, done, strict=True))
    tallies: dict[tuple[str, str], dict[str, BulkChunk]] = defaultdict(dict)
    for (job_id, chunk), result in results.items():
        if isinstance(result, _Applied):
            tallies[job_id, group_of(chunk)][chunk] = result.row
    groups = list(tallies)
    tallied = await asyncio.gather(*(tally(*group, tallies[group], ctx) for group in groups), return_exceptions=True)
    failed = {group: error for group, error in zip(groups, tallied, strict=True) if isinstance(error, BaseException)}
    answers: list[Folded | BaseException | None] = []
    taken: Counter[tuple[str, str]] = Counter()
    for change in changes:
        key = (change.job_id, change.chunk)
        result = results[key]
        place, taken[key] = taken[key], taken[key] + 1
        if isinstance(result, _Applied):
            answers.append(failed.get((change.job_id, group_of(change.chunk))) or result.folded[place])
        else:
            answers.append(result)
    return answers


@dataclass
class _Applied:
    row: BulkChunk
    folded: list[Folded] = field(default_factory=list)
    written: bool = False


async def _fold(job_id: str, name: str, changes: Sequence[_Change], ctx: Context) -> _Applied | None:
    async with _batchers_of.of(ctx.store).lock(job_id, name):
        return await _folded(job_id, name, changes, ctx)


async def _folded(job_id: str, name: str, changes: Sequence[_Change], ctx: Context) -> _Applied | None:
    def folded(row: BulkChunk | None) -> tuple[Write | None, _Applied | None]:
        if row is None:
            return None, None
        done = _Applied(row)
        for change in changes:
            after = change.fold(done.row)
            done.folded.append(Folded(done.row, after))
            done.row = after
        if done.row == row:
            return None, done
        written = done.row.model_copy(update={"version": row.version + 1})
        return ctx.replace(done.row), _Applied(written, done.folded, written=True)

    # The cached row is most likely current; if not, the refused write returns the current one.
    rows, key = _batchers_of.of(ctx.store).rows, (job_id, name)
    remembered = rows.pop(key, None)
    done = await compare_and_swap(ctx, BulkChunk, key, folded, row=remembered)
    if done is not None and not done.written and remembered is not None:
        # A result without a write must not be based on a cached row.
        done = await compare_and_swap(ctx, BulkChunk, key, folded)
    if done is not None and done.written:
        rows[key] = done.row
    return done


async def tally(job_id: str, group: str, chunks: dict[str, BulkChunk], ctx: Context) -> None:
    """Sets the lines of these chunks in their tally, where they are newer."""
    async with _batchers_of.of(ctx.store).lock(job_id, group):
        await _save_tally(job_id, group, chunks, ctx)


async def _save_tally(job_id: str, group: str, chunks: dict[str, BulkChunk], ctx: Context) -> None:
    lines = {name: chunk.line() for name, chunk in chunks.items()}
    rows, key = _batchers_of.of(ctx.store).tallies, (job_id, group)

    def with_lines(row: BulkTally | None) -> tuple[Write | None, BulkTally]:
        if row is None:
            expires = max(chunk.expires_at for chunk in chunks.values())
            new = BulkTally(job_id=job_id, group=group, chunks=lines, expires_at=expires)
            return ctx.insert(new), new
        newer = row.with_lines(lines)
        if newer is None:
            return None, row
        return ctx.replace(newer), newer.model_copy(update={"version": row.version + 1})

    rows[key] = await compare_and_swap(ctx, BulkTally, key, with_lines, row=rows.pop(key, None))


@dataclass
class Totals:
    """A job's counts, and the states of its chunks. ``counts`` has every status name, and the sum is the number of
    recipients."""

    counts: dict[str, int]
    reasons: dict[str, int]
    lines: dict[str, tuple[int, str, dict[str, int], dict[str, int]]]

    def open(self) -> int:
        """Number of recipients that the run has not completed."""
        return self.counts["pending"] + self.counts["claimed"]

    def of_run(self) -> tuple[Counter[str], Counter[str]]:
        """Returns counts and reasons without the recipients that the plan skipped."""
        counts: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for name, (_, _, some, why) in self.lines.items():
            if name[0] == "p":
                counts.update(some)
                reasons.update(why)
        return counts, reasons

    def in_state(self, state: str) -> list[str]:
        return [
            name
            for name, (_, stands, _, _) in self.lines.items()
            if name[0] == "p" and stands.partition("@")[0] == state
        ]

    def waits_until(self, name: str) -> int:
        """Returns the Unix time (s) before which a waiting chunk must not be released; 0: it may."""
        return int(self.lines[name][1].partition("@")[2] or 0)


async def totals(job: BulkJob, ctx: Context) -> Totals:
    """Returns the totals, from the tallies: one call up to about 1.5 million recipients."""
    counts: Counter[str] = Counter(dict.fromkeys(STATUS_NAMES, 0))
    reasons: Counter[str] = Counter()
    lines: dict[str, tuple[int, str, dict[str, int], dict[str, int]]] = {}
    async for row in ctx.query_all(BulkTally, job.job_id, limit=1000):
        for name, line in row.chunks.items():
            lines[name] = from_line(line)
            counts.update(lines[name][2])
            reasons.update(lines[name][3])
    return Totals(dict(counts), dict(reasons), lines)
