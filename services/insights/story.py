"""What is known of one message, and what it counts for. Pure.

A story is a set of moments that only grows, or whose moments move to an earlier time: whatever the order in which, and however
often, its events come, it ends the same. What a message counts for follows from its story alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageChanged
from libs.messaging.words import Direction, Status
from services.insights.periods import slot_of
from services.insights.spans import bucket

#: One letter each in a row. Deferred and claimed are not counted: they end as something else.
LETTERS: dict[Status, str] = {
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
#: A provider told of it, so it had been accepted. Kept only while nothing tells better when.
ACCEPTED = "a"
#: Counted by five minutes too.
BY_SLOT = ("sent", "delivered", "failed", "tried", "received")

#: ``{(moment in Unix milliseconds, what): how many}``; what is ``sent``, ``error.<code>``, ``toSent.<bucket>``, ``@<slot>.sent`` …
Counted = Counter[tuple[int, str]]


@dataclass(frozen=True)
class Story:
    """``moments`` by letter, in Unix milliseconds; ``code`` belongs to the failure."""

    moments: dict[str, int] = field(default_factory=dict)
    code: str | None = None

    @staticmethod
    def of(event: MessageChanged) -> Story:
        """What one event tells; nothing, of a status that is not counted."""
        letter = LETTERS.get(event.status)
        if letter is None:
            return Story()
        moments = {letter: milliseconds(event.at)}
        if event.source == "provider" and event.direction is Direction.OUTBOUND:
            moments[ACCEPTED] = moments[letter]
        failed = event.status is Status.FAILED
        return Story(moments, (event.error_code or ErrorCode.UNKNOWN).value if failed else None)

    def with_(self, other: Story) -> Story:
        """Both together; the earliest moment of each stands."""
        both = {
            letter: min(moments)
            for letter in sorted(self.moments.keys() | other.moments.keys())
            if (moments := [story.moments[letter] for story in (self, other) if letter in story.moments])
        }
        proven = [both[letter] for letter in "dr" if letter in both]
        if "s" in both or (proven and both.get(ACCEPTED, 0) >= min(proven)):
            both.pop(ACCEPTED, None)
        failures = [(story.moments["f"], story.code) for story in (self, other) if story.code is not None]
        return Story(both, min(failures)[1] if failures else None)

    def to_line(self) -> str:
        text = " ".join(f"{letter}{_in_36(moment)}" for letter, moment in self.moments.items())
        return f"{text} !{self.code}" if self.code else text

    @staticmethod
    def from_line(line: str) -> Story:
        parts = line.split()
        code = next((part[1:] for part in parts if part[0] == "!"), None)
        return Story({part[0]: int(part[1:], 36) for part in parts if part[0] != "!"}, code)

    def reached(self) -> dict[str, int]:
        """The statuses that the message reached, and when: each once. One that nobody told of, because a later one was told
        first, was reached by then. A proof of delivery takes back whatever else was said of the message's end."""
        told = self.moments
        if "i" in told:
            return {"received": told["i"]}
        if not told:
            return {}
        found = {"queued": told.get("q", min(told.values()))}
        if later := [told[letter] for letter in ("s", "a", "d", "r") if letter in told]:
            found["sent"] = told.get("s", min(later))
        if later := [told[letter] for letter in ("d", "r") if letter in told]:
            found["delivered"] = told.get("d", min(later))
        if "r" in told:
            found["read"] = told["r"]
        ends = {"failed": "f", "suppressed": "x", "expired": "e", "cancelled": "c"}
        if "delivered" not in found:
            found |= {word: told[letter] for word, letter in ends.items() if letter in told}
        found |= {word: told[letter] for word, letter in (("uncertain", "u"), ("unknown", "n")) if letter in told}
        if "u" in told and not told.keys() & set("asdrnfxec"):
            found["unsettled"] = told["u"]
        if tried := [found[word] for word in ("sent", "failed") if word in found]:
            found["tried"] = tried[0]
        return found

    def counts(self) -> Counted:
        """All that the message counts for."""
        return Counter(dict.fromkeys(self._counts(), 1))

    def _counts(self) -> Iterator[tuple[int, str]]:
        reached, told = self.reached(), self.moments
        for word, at in reached.items():
            yield at, word
            if word in BY_SLOT:
                yield at, f"@{slot_of(at)}.{word}"
        if "failed" in reached:
            yield reached["failed"], f"error.{self.code or ErrorCode.UNKNOWN.value}"
        # A time is measured only between two moments that were told.
        if "q" in told and "s" in told:
            yield told["s"], f"toSent.{bucket(told['s'] - told['q'])}"
        if "s" in told and "d" in told:
            yield told["d"], f"toDelivered.{bucket(told['d'] - told['s'])}"


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _in_36(number: int) -> str:
    """Eight characters for a moment: of a hundred stories in a row each counts."""
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
