"""The state of one handling of a chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from libs.common.declare.event import Event
from libs.common.handle.context import Context
from libs.messaging.events.bulk import Addressee, ChunkReleased
from libs.messaging.events.messages import MessageQueued
from libs.messaging.events.outbound import ChunkEnded
from services.outbound.contract import Request
from services.outbound.ledger.model import Delivery
from services.outbound.limits.gate import SendPermit

#: Messages whose slots are at most this far apart are claimed together. The higher the rate, the more messages share a call.
WINDOW_SECONDS = 0.1

Why = Literal["done", "paused", "cancelled", "turn", "wait"]


@dataclass
class Candidate:
    """One recipient of a group."""

    who: Addressee
    event: MessageQueued
    row: Delivery
    request: Request = field(default_factory=dict)
    sender: str = ""
    claim: Delivery | None = None
    permit: SendPermit | None = None


@dataclass
class ChunkRun:
    """One handling of a chunk: the events to publish and the recipients that are left."""

    event: ChunkReleased
    began: datetime
    left: list[Addressee]
    events: list[Event] = field(default_factory=list)
    first_at: datetime | None = None
    not_before: datetime | None = None

    def ended(self, why: Why, ctx: Context) -> ChunkEnded:
        first = self.first_at or ctx.now
        return ChunkEnded(
            job_id=self.event.job_id,
            channel=self.event.channel,
            chunk=self.event.chunk,
            release=self.event.release,
            why=why,
            unsent=tuple(sorted(who.position for who in self.left)),
            not_before=self.not_before,
            at=ctx.now,
            lag=max(0.0, round((first - self.event.released_at).total_seconds(), 3)),
        )


def by_window(ready: Sequence[Candidate]) -> list[list[Candidate]]:
    """In the order of their slots, those within :data:`WINDOW_SECONDS` of each other together."""
    windows: list[list[Candidate]] = []
    began = float("-inf")
    for at, _, one in sorted((one.permit.at, n, one) for n, one in enumerate(ready) if one.permit is not None):
        if at > began + WINDOW_SECONDS:
            windows.append([])
            began = at
        windows[-1].append(one)
    return windows
