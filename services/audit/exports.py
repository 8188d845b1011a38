"""The record as CSV in the bucket, fetched by a link."""

from __future__ import annotations

import json
from datetime import timedelta

from libs.common.clock import Timestamp, derived_id
from libs.common.declare.service import Bucket
from libs.common.declare.wire import Body, View
from libs.common.errors import Problem, invalid
from libs.common.handle.context import Context, Done
from libs.messaging.exports import as_csv
from services.audit.model import AuditExport, AuditLog, Kind
from services.audit.queries import Filter, list_entries

#: More than these want a narrower time.
MAX_ROWS = 5000
PAGE_ROWS = 100
URL_SECONDS = 300
RETENTION = timedelta(days=1)
EXPORTS = Bucket("exports", days=1)
COLUMNS = (
    "at", "kind", "actor", "role", "needs", "action", "resource", "method", "route", "parameters", "before", "after", "facts",
    "unsaid", "keyDigest", "correlationId", "logId", "chain", "block", "hash",
)  # fmt: skip


class AskExport(Body):
    """As in the list; ``since`` and ``until`` are inclusive."""

    actor: str | None = None
    action: str | None = None
    resource: str | None = None
    kind: Kind | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None


class ExportView(View):
    """``complete``: all entries that fit are in it; else narrow the time. ``url`` is good for five minutes."""

    export_id: str
    rows: int
    complete: bool
    created_at: Timestamp
    url: str | None = None


async def create_export(body: AskExport, ctx: Context) -> Done[ExportView]:
    """Write the newest entries that fit, newest first. Raises Problem."""
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
    made = AuditExport(
        export_id=derived_id(ctx.required_cause.id, "audit-export"),
        rows=len(entries),
        complete=cursor is None,
        created_at=ctx.now,
        expires_at=int((ctx.now + RETENTION).timestamp()),
    )
    # Under a name of its own, so that a repeat of the request writes the same object; nobody hears of it before the commit.
    data = as_csv(COLUMNS, map(_cells, entries))
    await ctx.files.put(ctx.bucket(EXPORTS.name), _key(made.export_id), data, "text/csv; charset=utf-8")
    ctx.stage(ctx.insert(made))
    return Done(ExportView.model_validate(made), after={"rows": made.rows, "complete": made.complete})


async def read_export(export_id: str, ctx: Context) -> ExportView:
    """With a link to fetch it. Raises Problem 404."""
    made = await ctx.get(AuditExport, export_id)
    if made is None:
        raise Problem(404, "EXPORT_NOT_FOUND", "There is no such export", "Exports are kept for a day.")
    name = f"audit-{made.created_at:%Y-%m-%d}.csv"
    url = await ctx.files.download_url(ctx.bucket(EXPORTS.name), _key(export_id), "text/csv", name, URL_SECONDS)
    return ExportView.model_validate(made).model_copy(update={"url": url})


def _cells(entry: AuditLog) -> list[object]:
    row = entry.to_row()
    return [_cell(row.get(name)) for name in COLUMNS]


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _key(export_id: str) -> str:
    return f"{export_id}.csv"
