"""Exports of audit entries as CSV in the bucket, downloaded by a presigned URL."""

from __future__ import annotations

import json

from libs.common.clock import Timestamp
from libs.common.declare.wire import Body, View
from libs.common.errors import invalid
from libs.common.handle.context import Context, Done
from libs.messaging import exports
from services.audit.model import AuditExport, AuditLog, Kind
from services.audit.search import Filter, list_entries

#: Maximum rows of an export; more need a narrower time range.
MAX_ROWS = 5000
PAGE_ROWS = 100
COLUMNS = (
    "at", "kind", "actor", "role", "needs", "action", "resource", "method", "route", "parameters", "before", "after", "facts",
    "unsaid", "keyDigest", "correlationId", "logId", "chain", "block", "hash",
)  # fmt: skip


class AskExport(Body):
    """The filter, as in the list; ``since`` and ``until`` are inclusive."""

    actor: str | None = None
    action: str | None = None
    resource: str | None = None
    kind: Kind | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None


class ExportView(View):
    """An export. ``complete``: it contains all matching entries; otherwise a narrower time range is needed. ``url`` is
    valid for five minutes."""

    export_id: str
    rows: int
    complete: bool
    created_at: Timestamp
    url: str | None = None


async def create_export(body: AskExport, ctx: Context) -> Done[ExportView]:
    """Writes the newest matching entries, newest first. Raises Problem."""
    if body.since and body.until and body.since > body.until:
        raise invalid("until", "It is before since.")
    entries: list[AuditLog] = []
    cursor: str | None = None
    wanted = Filter(**dict(body))
    while len(entries) < MAX_ROWS:
        page = await list_entries(ctx, wanted, PAGE_ROWS, cursor)
        entries += page.items
        cursor = page.cursor
        if cursor is None:
            break
    made = await exports.create(AuditExport, COLUMNS, [*map(_cells, entries)], ctx, complete=cursor is None)
    return Done(ExportView.model_validate(made), after={"rows": made.rows, "complete": made.complete})


async def read_export(export_id: str, ctx: Context) -> ExportView:
    """Returns the export with a download URL. Raises Problem 404."""
    made, url = await exports.read(AuditExport, export_id, "audit", ctx)
    return ExportView.model_validate(made).model_copy(update={"url": url})


def _cells(entry: AuditLog) -> list[object]:
    row = entry.to_row()
    return [_cell(row.get(name)) for name in COLUMNS]


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
