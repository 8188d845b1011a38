"""Counting: every change of a chunk goes through here, and leaves chunk and tally saying the same.

Changes that come within a few milliseconds of each other are folded together: one read and one write for each chunk, one
for each tally, however many reports there were. Chunk and tally are replaced at the version at which they were read; whoever
comes second folds again.
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

#: How long the first report waits for company (s), and how many go together. What a run waits for does not linger.
LINGER_SECONDS = 0.25
URGENT_LINGER_SECONDS = 0.004
MAX_BATCH_CHANGES = 2000
#: Rows that a process remembers.
MAX_CACHED_ROWS = 500

#: What a chunk becomes; the same chunk if there is nothing to change. Pure: it may be asked more than once.
Fold = Callable[[BulkChunk], BulkChunk]


@dataclass
class _Change:
    ctx: Context
    job_id: str
    chunk: str
    fold: Fold


@dataclass(frozen=True)
class Folded:
    """The chunk before and after one change; ``after.version`` is that of the row it is part of."""

    before: BulkChunk
    after: BulkChunk

    @property
    def changed(self) -> bool:
        return self.before != self.after


@dataclass
class _StoreBatchers:
    """Where the changes of one process's store come together; a row is in one hand at a time."""

    now: Batcher[_Change, Folded | None] = field(
        default_factory=lambda: Batcher(_send, maximum=MAX_BATCH_CHANGES, linger=URGENT_LINGER_SECONDS)
    )
    soon: Batcher[_Change, Folded | None] = field(
        default_factory=lambda: Batcher(_send, maximum=MAX_BATCH_CHANGES, linger=LINGER_SECONDS)
    )
    #: Rows as we wrote them last.
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
    """Change a chunk; returns once chunk and tally are written. None: there is no such chunk. ``urgent`` False lets the change
    wait for others."""
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

    # What we wrote last is most likely still there; if not, the refusal shows what is.
    rows, key = _batchers_of.of(ctx.store).rows, (job_id, name)
    remembered = rows.pop(key, None)
    done = await compare_and_swap(ctx, BulkChunk, key, folded, row=remembered)
    if done is not None and not done.written and remembered is not None:
        # Nobody decides on what is only remembered.
        done = await compare_and_swap(ctx, BulkChunk, key, folded)
    if done is not None and done.written:
        rows[key] = done.row
    return done


async def tally(job_id: str, group: str, chunks: dict[str, BulkChunk], ctx: Context) -> None:
    """Set the lines of these chunks in their tally, where they are newer."""
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
    """A job's counts, and where its chunks stand. ``counts`` has every word and comes to the job's recipients."""

    counts: dict[str, int]
    reasons: dict[str, int]
    lines: dict[str, tuple[int, str, dict[str, int], dict[str, int]]]

    def open(self) -> int:
        """Recipients that the run is not through with."""
        return self.counts["pending"] + self.counts["claimed"]

    def of_run(self) -> tuple[Counter[str], Counter[str]]:
        """Counts and reasons without the recipients that the plan skipped."""
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
        """Unix seconds before which a waiting chunk is not to be released; 0: it may."""
        return int(self.lines[name][1].partition("@")[2] or 0)


async def totals(job: BulkJob, ctx: Context) -> Totals:
    """From the tallies: one call up to about a million and a half recipients, however many there are."""
    counts: Counter[str] = Counter(dict.fromkeys(STATUS_NAMES, 0))
    reasons: Counter[str] = Counter()
    lines: dict[str, tuple[int, str, dict[str, int], dict[str, int]]] = {}
    async for row in ctx.query_all(BulkTally, job.job_id, limit=1000):
        for name, line in row.chunks.items():
            lines[name] = from_line(line)
            counts.update(lines[name][2])
            reasons.update(lines[name][3])
    return Totals(dict(counts), dict(reasons), lines)
