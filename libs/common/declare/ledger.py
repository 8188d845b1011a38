"""The ledger of a service: the results of each cause. One row per cause, in the same transaction as its writes.

For an event the row holds the published events, so that a redelivery publishes them again without running the handler. For an
HTTP request it also holds the answer, and while ``pending`` is set it is the outbox that a sweep publishes from.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.store.item import Index, Item, Table

#: Longer than the longest redelivery or replay (SQS 14 d, dead letters 7 d).
LEDGER_DAYS = 30
#: How often the outbox of each service is swept, and how long a row waits before the sweep publishes it.
OUTBOX_SECONDS = 15
OUTBOX_LABEL = "outbox"
#: The maximum delay before the next attempt.
MAX_RETRY_SECONDS = 300


class LedgerEntry(Item):
    """``id`` is ``handler#event-id`` or ``http#actor#idempotency-key``. ``at`` is when it was written; each failed
    attempt of the sweep (``attempts``) sets it to the time of the next attempt."""

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
