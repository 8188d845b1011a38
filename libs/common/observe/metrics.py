"""Counters. Each count is a line on stdout in CloudWatch's embedded metric format, from which CloudWatch creates a metric, and
a counter of this process, which ``GET /metrics`` on the health port returns. The lines are not log lines: no log level
suppresses them; ``WECARE_METRICS=off`` does.

Sources: AWS, *Specification: Embedded metric format*; Prometheus, *Text-based format*.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from typing import Literal

from structlog.contextvars import get_contextvars

from libs.common.clock import SystemClock, iso
from libs.common.observe.log import about, redact

NAMESPACE = "WECARE"
#: The maximum number of values per dimension; further ones count as one. Each costs memory here and money at CloudWatch.
MAX_VALUES_PER_DIMENSION = 50
MAX_VALUE_LENGTH = 40
OTHER = "other"

#: Other characters become ``_``, and so do long numbers: they are ids, times and phone numbers, not kinds.
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+|\d{7,}")
_counts: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
_values: dict[tuple[str, str], set[str]] = {}
_lines = False


def configure(output: Literal["off", "emf"]) -> None:
    """Whether this process writes lines (embedded metric format), or only keeps the numbers, as before this is called."""
    global _lines
    _lines = output == "emf"


def count(name: str, times: int = 1, /, **dimensions: str) -> None:
    """Increase the counter ``name`` (small letters and underscores), in total and by its dimensions. Values may come from
    outside: they are cleaned, truncated and bounded in number."""
    bounded = {dimension: _bounded(name, dimension, value) for dimension, value in dimensions.items()}
    _counts[name, tuple(bounded.items())] += times
    if _lines:
        _write(name, times, bounded)


def _write(name: str, times: int, bounded: dict[str, str]) -> None:
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [[], list(bounded)] if bounded else [[]],
        "Metrics": [{"Name": name, "Unit": "Count"}],
    }
    now = SystemClock().now()
    source = {key: redact(str(value)) for key, value in {**get_contextvars(), **about.get()}.items()}
    line = {
        "event": "counted", **source, **bounded, name: times, "time": iso(now),
        "_aws": {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [directive]},
    }  # fmt: skip
    # In one piece: other threads write, too.
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


def exposition() -> str:
    """The counters of this process in Prometheus's text format."""
    lines: list[str] = []
    for name in sorted({name for name, _ in _counts}):
        lines.append(f"# TYPE wecare_{name}_total counter")
        for labels, n in sorted((labels, n) for (of, labels), n in _counts.items() if of == name):
            bounded = ",".join(f'{label}="{value}"' for label, value in labels)
            lines.append(f"wecare_{name}_total{{{bounded}}} {n}")
    return "".join(f"{line}\n" for line in lines)


def _bounded(name: str, dimension: str, value: str) -> str:
    clean = _UNFIT.sub("_", redact(value))[:MAX_VALUE_LENGTH].strip("_") or OTHER
    known = _values.setdefault((name, dimension), set())
    if clean not in known and len(known) >= MAX_VALUES_PER_DIMENSION:
        return OTHER
    known.add(clean)
    return clean
