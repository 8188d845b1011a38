"""The frequency cap: at most so many marketing messages to one contact on this channel in any 24 hours.

A contact's row holds the times of the last messages. It is written only over the version that was read, so two workers never
take the last slot both. A message that is retried keeps its slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, NamedTuple

from pydantic import Field

from libs.common.handle.compare_and_swap import compare_and_swap
from libs.common.handle.context import Context
from libs.common.store.item import Item, Table
from libs.common.store.ops import Write

DAY_SECONDS = 24 * 3600


class Frequency(Item):
    """``marks``: message id -> Unix seconds."""

    TABLE: ClassVar[Table] = Table("frequency", key="contactId", ttl="expiresAt")

    contact_id: str
    marks: dict[str, int] = Field(default_factory=dict)
    expires_at: int


class Place(NamedTuple):
    """``not_before`` None: the message has a slot; else none is free before that time. ``full_until``: it took the last slot,
    and the next one is free then."""

    not_before: datetime | None = None
    full_until: datetime | None = None


async def reserve_slot(contact_id: str, message_id: str, cap: int, ctx: Context) -> Place:
    """Reserves one of the day's ``cap`` slots for the message. A message that has one already keeps it."""

    def reserved(row: Frequency | None) -> tuple[Write | None, Place]:
        now = int(ctx.now.timestamp())
        others = {
            message: at
            for message, at in (row.marks if row else {}).items()
            if at > now - DAY_SECONDS and message != message_id
        }
        if len(others) >= cap:
            return None, Place(not_before=_free_at(others, cap))
        marks = {**others, message_id: now}
        new = Frequency(contact_id=contact_id, marks=marks, expires_at=now + DAY_SECONDS, version=1)
        return ctx.upsert(new, row), Place(full_until=_free_at(marks, cap) if len(marks) >= cap else None)

    return await compare_and_swap(ctx, Frequency, (contact_id,), reserved)


def _free_at(marks: Mapping[str, int], cap: int) -> datetime:
    """When fewer than ``cap`` of these are left."""
    return datetime.fromtimestamp(sorted(marks.values())[len(marks) - cap] + DAY_SECONDS, UTC)
