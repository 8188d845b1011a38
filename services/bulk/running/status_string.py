"""The status string of a chunk: one status character for each of its recipients, in order. Pure.

A status character only rises in rank, whatever the order and number of reports; only a retry of failed recipients
resets one. A job's counts are computed from the status strings, so their sum is always the number of its recipients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from libs.messaging.vocabulary import Status

PENDING, CLAIMED, STOPPED, UNCERTAIN, SENT = "p", "w", "x", "u", "s"
FAILED, SKIPPED, DELIVERED, READ = "f", "k", "d", "r"
#: ``w``: deferred by its sender, not yet sent (quiet hours, a cap, a budget). ``x``: stopped with the job; it may be an
#: assumption that the recipient was not started, so a sender's report replaces it.
RANK = {"p": 0, "w": 1, "x": 2, "u": 3, "s": 5, "k": 6, "f": 6, "d": 7, "r": 8}
#: The status names in a job's counts; they are those of the conservation law.
STATUS_NAMES = ("pending", "claimed", "uncertain", "sent", "delivered", "read", "failed", "skipped", "cancelled")
_OF_STATUS: dict[Status, str] = {
    Status.DEFERRED: "w",
    Status.UNCERTAIN: "u",
    Status.UNKNOWN: "u",
    Status.SENT: "s",
    Status.DELIVERED: "d",
    Status.READ: "r",
    Status.FAILED: "f",
    Status.SUPPRESSED: "k",
    Status.EXPIRED: "k",
    Status.CANCELLED: "x",
}
_NAME_OF_CHAR = {
    "w": "pending",
    "u": "uncertain",
    "s": "sent",
    "d": "delivered",
    "r": "read",
    "f": "failed",
    "k": "skipped",
    "x": "cancelled",
}


def char_of(status: Status) -> str | None:
    """Returns the status character of a report; None if the report is not definite (queued, claimed)."""
    return _OF_STATUS.get(status)


def rises(old: str, new: str) -> bool:
    return RANK[new] > RANK[old]


def with_char(chars: str, position: int, char: str) -> str:
    return chars[:position] + char + chars[position + 1 :]


def status_of(char: str, in_hand: bool) -> str:
    """Returns the status name of a recipient. Without a report it is ``claimed`` while its chunk is with a sender, else
    ``pending``; the same applies to a deferred recipient."""
    return _NAME_OF_CHAR.get(char) or ("claimed" if in_hand else "pending")


def counts_of(chars: str, in_hand: bool) -> dict[str, int]:
    """Returns status name -> count, without zeros."""
    found: Counter[str] = Counter()
    for char, number in Counter(chars).items():
        found[status_of(char, in_hand)] += number
    return dict(found)


# -- one line for each chunk in a tally: "version:state:counts:reasons"; state is "waiting@<Unix seconds>" while it must wait --

_CHAR_OF_NAME = {**{status: letter for letter, status in _NAME_OF_CHAR.items()}, "pending": "p", "claimed": "c"}
_NAME_OF_SHORT = {letter: status for status, letter in _CHAR_OF_NAME.items()}


def to_line(version: int, state: str, counts: Mapping[str, int], reasons: Mapping[str, int]) -> str:
    numbers = " ".join(f"{_CHAR_OF_NAME[status]}{n}" for status, n in sorted(counts.items()))
    why = " ".join(f"{code}={n}" for code, n in sorted(reasons.items()))
    return f"{version}:{state}:{numbers}:{why}"


def from_line(line: str) -> tuple[int, str, dict[str, int], dict[str, int]]:
    version, state, numbers, why = line.split(":", 3)
    counts = {_NAME_OF_SHORT[part[0]]: int(part[1:]) for part in numbers.split()}
    reasons = {code: int(n) for code, _, n in (part.partition("=") for part in why.split())}
    return int(version), state, counts, reasons
