"""The history of one message, and the counts that follow from it. Pure.

A history is a set of moments to which moments are only added, or replaced by earlier ones: the result is the same for
any order and number of its events. The counts of a message depend on its history only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageChanged
from libs.messaging.vocabulary import Direction, Status
from services.insights.durations import bucket
from services.insights.periods import slot_of

#: One status character each in a row. Deferred and claimed are not counted: they are not final.
STATUS_CHARS: dict[Status, str] = {
    Status.QUEUED: "q",
    Status.SENT: "s",
    Status.DELIVERED: "d",
    Status.READ: "r",
    Status.FAILED: "f",
    Status.UNCERTAIN: "u",
    Status.UNKNOWN: "n",
    Status.SUPPRESSED: "x",
    Status.EXPIRED: "e",
    Status.CANCELLED: "c",
    Status.RECEIVED: "i",
}
#: A provider reported the message, so it was accepted. Kept only until a report gives the exact time.
ACCEPTED = "a"
#: Also counted by 5 minutes.
BY_SLOT = ("sent", "delivered", "failed", "tried", "received")

#: ``{(moment in Unix milliseconds, name): count}``; the name is ``sent``, ``error.<code>``, ``toSent.<bucket>``,
#: ``@<slot>.sent`` …
Counted = Counter[tuple[int, str]]


@dataclass(frozen=True)
class MessageHistory:
    """A history. ``moments`` by status character, in Unix milliseconds; ``code`` is that of the failure."""

    moments: dict[str, int] = field(default_factory=dict)
    code: str | None = None

    @staticmethod
    def of(event: MessageChanged) -> MessageHistory:
        """Returns the history from one event; empty for a status that is not counted."""
        char = STATUS_CHARS.get(event.status)
        if char is None:
            return MessageHistory()
        moments = {char: milliseconds(event.at)}
        if event.source == "provider" and event.direction is Direction.OUTBOUND:
            moments[ACCEPTED] = moments[char]
        failed = event.status is Status.FAILED
        return MessageHistory(moments, (event.error_code or ErrorCode.UNKNOWN).value if failed else None)

    def with_(self, other: MessageHistory) -> MessageHistory:
        """Merges two histories, with the earliest moment of each status."""
        both = {
            char: min(moments)
            for char in sorted(self.moments.keys() | other.moments.keys())
            if (moments := [history.moments[char] for history in (self, other) if char in history.moments])
        }
        proven = [both[char] for char in "dr" if char in both]
        if "s" in both or (proven and both.get(ACCEPTED, 0) >= min(proven)):
            both.pop(ACCEPTED, None)
        failures = [(history.moments["f"], history.code) for history in (self, other) if history.code is not None]
        return MessageHistory(both, min(failures)[1] if failures else None)

    def to_line(self) -> str:
        text = " ".join(f"{char}{_in_36(moment)}" for char, moment in self.moments.items())
        return f"{text} !{self.code}" if self.code else text

    @staticmethod
    def from_line(line: str) -> MessageHistory:
        parts = line.split()
        code = next((part[1:] for part in parts if part[0] == "!"), None)
        return MessageHistory({part[0]: int(part[1:], 36) for part in parts if part[0] != "!"}, code)

    def reached(self) -> dict[str, int]:
        """Returns the statuses that the message reached, each once, with the time. A status without a report, because a
        later one was reported first, was reached by the time of that. A proof of delivery replaces any other final
        status."""
        times = self.moments
        if "i" in times:
            return {"received": times["i"]}
        if not times:
            return {}
        found = {"queued": times.get("q", min(times.values()))}
        if later := [times[char] for char in ("s", "a", "d", "r") if char in times]:
            found["sent"] = times.get("s", min(later))
        if later := [times[char] for char in ("d", "r") if char in times]:
            found["delivered"] = times.get("d", min(later))
        if "r" in times:
            found["read"] = times["r"]
        ends = {"failed": "f", "suppressed": "x", "expired": "e", "cancelled": "c"}
        if "delivered" not in found:
            found |= {status: times[char] for status, char in ends.items() if char in times}
        found |= {status: times[char] for status, char in (("uncertain", "u"), ("unknown", "n")) if char in times}
        if "u" in times and not times.keys() & set("asdrnfxec"):
            found["unsettled"] = times["u"]
        if tried := [found[status] for status in ("sent", "failed") if status in found]:
            found["tried"] = tried[0]
        return found

    def counts(self) -> Counted:
        """Returns all counts of the message."""
        return Counter(dict.fromkeys(self._counts(), 1))

    def _counts(self) -> Iterator[tuple[int, str]]:
        reached, times = self.reached(), self.moments
        for status, at in reached.items():
            yield at, status
            if status in BY_SLOT:
                yield at, f"@{slot_of(at)}.{status}"
        if "failed" in reached:
            yield reached["failed"], f"error.{self.code or ErrorCode.UNKNOWN.value}"
        # A duration is measured only between two reported moments.
        if "q" in times and "s" in times:
            yield times["s"], f"toSent.{bucket(times['s'] - times['q'])}"
        if "s" in times and "d" in times:
            yield times["d"], f"toDelivered.{bucket(times['d'] - times['s'])}"


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _in_36(number: int) -> str:
    """Encodes a moment in eight characters, because a row has up to hundreds of histories."""
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
