"""How far planning came, and what a job comes to. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.wire import Part


class Behind(Part):
    """What was said of contacts and not yet applied to our copy when the audience was read: so many messages lay on the
    queue, with up to a hundred changes in each. ``late``: what had been said before the job was asked for was among it, after
    ``seconds``; else it came in while the audience was read."""

    messages: int
    seconds: float
    late: bool


class Progress(Part):
    """How far planning came, and what it came to so far."""

    part: int = -1
    cursor: str | None = None
    rows: int = 0
    chunks: int = 0
    skipped_chunks: int = 0
    to_send: int = 0
    skipped: dict[str, int] = Field(default_factory=dict)
    rejected: dict[str, int] = Field(default_factory=dict)
    segments: int = 0
    countries: dict[str, int] = Field(default_factory=dict)
    zones: dict[str, int] = Field(default_factory=dict)
    #: Over the recipients and their variables, in order.
    digest: str = ""
    #: The recipients that the plan shows; their messages are made when somebody looks, for a row holds 400 KB.
    sample_ids: tuple[str, ...] = ()
    reject_parts: int = 0
    #: Of ``to_send``: above the cap on marketing; of the others, who has not written to us within the last 24 hours.
    capped: int = 0
    outside: int = 0
    behind: Behind | None = None

    @property
    def begun(self) -> bool:
        """Whether anything of the audience was read."""
        return self.part > 0 or self.rows > 0 or self.cursor is not None

    @property
    def planned(self) -> int:
        return self.to_send + sum(self.skipped.values())


class Plan(Part):
    """What a job comes to, before anything is sent."""

    hash: str
    rows: int
    recipients: int
    to_send: int
    skipped: dict[str, int]
    rejected: dict[str, int]
    segments: int | None = None
    cost: dict[str, Any]
    per_second: float
    starts_at: Timestamp
    finishes_at: Timestamp
    made_at: Timestamp
    behind: Behind | None = None
