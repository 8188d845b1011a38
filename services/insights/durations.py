"""Durations in fixed buckets, so that hours and workers can be added up. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

#: Upper bounds in seconds, inclusive; longer durations are in one more bucket.
EDGES = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400)


def bucket(milliseconds: int) -> int:
    """Returns the number of the bucket. A negative duration, due to clock differences, counts as 0."""
    return bisect_left(EDGES, max(0, milliseconds) / 1000)


@dataclass(frozen=True)
class Span:
    """A distribution. ``median`` and ``p95`` in seconds, interpolated within their bucket; beyond the last bound, that
    bound."""

    count: int
    median: float
    p95: float


def span(buckets: Mapping[int, int]) -> Span | None:
    """Computes it from ``{bucket: count}``; None if nothing was measured."""
    count = sum(buckets.values())
    if not count:
        return None
    return Span(count, _quantile(buckets, count * 0.5), _quantile(buckets, count * 0.95))


def _quantile(buckets: Mapping[int, int], wanted: float) -> float:
    before = 0
    for number in sorted(buckets):
        if number >= len(EDGES):
            break
        here = buckets[number]
        if here and before + here >= wanted:
            low = EDGES[number - 1] if number else 0.0
            return round(low + (EDGES[number] - low) * (wanted - before) / here, 3)
        before += here
    return float(EDGES[-1])
