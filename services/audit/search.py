"""Lists entries, newest first. Each page needs the same few calls, for any number of entries."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from libs.common.clock import iso
from libs.common.errors import Problem
from libs.common.handle.context import Context, Page
from libs.common.store.ops import BadCursor
from services.audit.model import SHARDS, AuditLog, Kind

_PLACE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z#[0-9a-f-]{36}")
#: Sorts after every id.
_END = "~"


@dataclass(frozen=True)
class Filter:
    """A filter; all given conditions must hold. ``since`` and ``until`` are inclusive."""

    actor: str | None = None
    action: str | None = None
    resource: str | None = None
    kind: Kind | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, entry: AuditLog) -> bool:
        wanted = ((self.actor, entry.actor), (self.action, entry.action), (self.resource, entry.resource))
        return all(want in (None, has) for want, has in wanted) and self.kind in (None, entry.kind)

    def index(self) -> tuple[str, str] | None:
        """Returns the most selective index; the other conditions filter its pages."""
        for name in ("resource", "actor", "action"):
            value: str | None = getattr(self, name)
            if value is not None:
                return f"by-{name}", value
        return None

    def between(self) -> tuple[str, str]:
        """Returns the key range of the time range."""
        since = self.since or datetime(2000, 1, 1, tzinfo=UTC)
        until = self.until or datetime(9999, 1, 1, tzinfo=UTC)
        return iso(since), iso(until) + _END


async def list_entries(ctx: Context, wanted: Filter, limit: int, cursor: str | None) -> Page[AuditLog]:
    """Returns one page; a filtered page may be short and still have a cursor. Raises BadCursor."""
    by = wanted.index()
    if by is None:
        page = await _merged(ctx, wanted, limit, cursor)
    else:
        index, value = by
        page = await ctx.query(
            AuditLog, value, index=index, between=wanted.between(), limit=limit, cursor=cursor, newest_first=True
        )
    return Page([entry for entry in page.items if wanted.takes(entry)], page.cursor)


async def _merged(ctx: Context, wanted: Filter, limit: int, cursor: str | None) -> Page[AuditLog]:
    """Merges all shards. The cursor is the place of the last entry returned."""
    low, high = wanted.between()
    if cursor is not None:
        if not _PLACE.fullmatch(cursor) or not low <= cursor <= high:
            raise BadCursor(cursor)
        high = cursor
    pages = await asyncio.gather(
        *(
            # One more than the page, and one for the cursor's own entry.
            ctx.query(AuditLog, shard, index="by-shard", between=(low, high), limit=limit + 2, newest_first=True)
            for shard in SHARDS
        )
    )
    found = sorted((e for page in pages for e in page.items if e.place != cursor), key=lambda e: e.place, reverse=True)
    return Page(found[:limit], found[limit - 1].place if len(found) > limit else None)


async def entry_by_id(ctx: Context, log_id: str) -> AuditLog:
    """Returns the entry. Raises Problem 404."""
    entry = await ctx.get(AuditLog, log_id)
    if entry is None:
        raise Problem(404, "ENTRY_NOT_FOUND", "There is no such audit entry", "Entries are kept for 180 days.")
    return entry
