"""The ledger of a service: what a cause has already led to. One row per cause, in the same transaction as its writes.

For an event the row holds what was said, so that a redelivery says it again instead of working again. For an
HTTP request it holds the answer too, and while ``pending`` is set it is the outbox that a sweep publishes from.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.store.item import Index, Item, Table

#: Longer than anything can still be redelivered or replayed (SQS 14 d, dead letters 7 d).
LEDGER_DAYS = 30
#: How often the outbox of each service is swept, and how long a row waits before it counts as left behind.
OUTBOX_SECONDS = 15
OUTBOX_LABEL = "outbox"
#: The longest that a row waits for its next attempt, however often it has failed.
MAX_RETRY_SECONDS = 300


class LedgerEntry(Item):
    """``id`` is ``handler#event-id`` or ``http#actor#idempotency-key``. ``at`` is when it was written; each attempt of the sweep
    that fails (``attempts``) moves it to when the row was due next."""

    TABLE: ClassVar[Table] = Table(
        "ledger", key="id", indexes=(Index("by-pending", hash="pending", sort="at"),), ttl="expiresAt"
    )

    id: str
    at: Timestamp
    said: list[dict[str, Any]] = Field(default_factory=list)
    fingerprint: str | None = None
    answer: dict[str, Any] | None = None
    pending: str | None = None
    attempts: int = 0
    expires_at: int
