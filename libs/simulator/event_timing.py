"""The times of the events of a message: delays, loss, duplication, reordering. Seeded, so a run is repeatable.

The random numbers of a message depend on the seed, its key and on how often that key was accepted, and on nothing
else, so concurrency does not change them.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from libs.simulator.behaviour import Behaviour

LATE_SECONDS = 60.0
UNKNOWN_AFTER_SECONDS = 72 * 3600.0


@dataclass(frozen=True, slots=True)
class Step:
    """One event to publish: `name` of the event, when it `happens` and when it is published (`due`), both in seconds."""

    name: str
    happens: float
    due: float


class SeededRandom:
    """Random numbers and ids of one message."""

    def __init__(self, seed: str, key: str) -> None:
        digest = hashlib.blake2b(f"{seed}|{key}".encode(), digest_size=16).digest()
        self.random = random.Random(int.from_bytes(digest, "big"))  # noqa: S311 - a simulation, not a secret

    def chance(self, share: float) -> bool:
        """Always takes a random number, so that changing one share does not change later numbers."""
        return self.random.random() < share

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.random.random()

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def hex(self, digits: int) -> str:
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"


def timeline(behaviour: Behaviour, dice: SeededRandom, names: Sequence[str], start: float, outcome: str) -> list[Step]:
    """The events of a message in the order of publishing, after loss, duplication and shuffling."""
    low, high = (ms / 1000 for ms in behaviour.delay_ms)
    at = start + (LATE_SECONDS if outcome == "late" else UNKNOWN_AFTER_SECONDS if outcome == "unknown" else 0.0)
    steps = []
    for name in names:
        at += dice.between(low, high)
        steps.append(Step(name, at, at))
    if outcome == "chaotic":
        return _reversed(steps, 3)
    if behaviour.shuffle:
        dues = [s.due for s in steps]
        dice.random.shuffle(dues)
        steps = [Step(s.name, s.happens, due) for s, due in zip(steps, dues, strict=True)]
    kept = [s for s in steps if not dice.chance(behaviour.loss)]
    return sorted((c for s in kept for c in _copies(behaviour, dice, s, high)), key=lambda s: s.due)


def _reversed(steps: list[Step], times: int) -> list[Step]:
    dues = sorted((s.due for s in steps), reverse=True)
    turned = [Step(s.name, s.happens, due) for s, due in zip(steps, dues, strict=True)]
    return sorted(turned * times, key=lambda s: s.due)


def _copies(behaviour: Behaviour, dice: SeededRandom, step: Step, spread: float) -> list[Step]:
    """The event and its duplicates; duplicates are published a little later, like redeliveries."""
    wanted = behaviour.duplicate
    extra = int(wanted) - 1 if wanted >= 2 else int(dice.chance(wanted))
    return [step, *(Step(step.name, step.happens, step.due + dice.between(0, spread)) for _ in range(extra))]
