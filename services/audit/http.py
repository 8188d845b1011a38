"""HTTP routes of ``/api/audit``."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import Query

from libs.common.aws.auth import Role
from libs.common.clock import Timestamp, iso
from libs.common.declare.request_events import Fact
from libs.common.declare.wire import PageView, View
from libs.common.errors import invalid
from libs.common.handle.context import Context, Done
from libs.common.hosts.http.routes import Api, Cursor, Limit
from services.audit import exports, search, verify
from services.audit.exports import AskExport, ExportView
from services.audit.model import Kind, is_kept
from services.audit.search import Filter
from services.audit.verify import Verified

router = Api()
Word = Annotated[str | None, Query(min_length=1, max_length=200)]


class EntryView(View):
    """One entry. ``hash`` is its link in the chain; missing until the entry is linked, shortly after it was written."""

    log_id: str
    kind: Kind
    at: Timestamp
    actor: str
    role: str | None = None
    #: For a refusal: the role that was required, and the number of further refusals of the same caller that were only
    #: counted.
    needs: str | None = None
    unsaid: int | None = None
    service: str
    action: str
    resource: str | None = None
    method: str | None = None
    route: str | None = None
    parameters: dict[str, str] | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    #: The facts that followed immediately, and how many more there are.
    facts: list[Fact] | None = None
    more_facts: int | None = None
    #: A digest of the Idempotency-Key.
    key_digest: str | None = None
    correlation_id: str
    chain: str | None = None
    block: int | None = None
    hash: str | None = None


class EntryPage(PageView[EntryView]):
    pass


@router.read("GET", "/api/audit", role=Role.ADMIN)
async def list_entries(
    ctx: Context,
    actor: Word = None,
    action: Word = None,
    resource: Word = None,
    kind: Kind | None = None,
    since: Timestamp | None = None,
    until: Timestamp | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> EntryPage:
    """Returns the entries, newest first; a filtered page may be short and still have a cursor."""
    if since and until and since > until:
        raise invalid("until", "It is before since.")
    wanted = Filter(actor, action, resource, kind, since, until)
    page = await search.list_entries(ctx, wanted, limit, cursor)
    return EntryPage(items=[EntryView.model_validate(entry) for entry in page.items], cursor=page.cursor)


@router.read("GET", "/api/audit/verify", role=Role.ADMIN)
async def verify_chain(ctx: Context, day: date | None = None, cursor: Cursor = None) -> Verified:
    """Verifies a part of a day's chains (UTC; default today); repeat with the cursor until there is none."""
    today = iso(ctx.now)[:10]
    wanted = day.isoformat() if day else today
    if wanted > today:
        raise invalid("day", f"It is not over yet; today is {today}.")
    if not is_kept(wanted, ctx.now):
        raise invalid("day", "Entries are kept for 180 days.")
    return await verify.verify(ctx, wanted, cursor)


@router.write("POST", "/api/audit/exports", role=Role.ADMIN, status=201, about="export_id")
async def create_export(body: AskExport, ctx: Context) -> Done[ExportView]:
    """Writes entries to a CSV file; GET returns its download URL."""
    return await exports.create_export(body, ctx)


@router.read("GET", "/api/audit/exports/{export_id}", role=Role.ADMIN)
async def read_export(export_id: str, ctx: Context) -> ExportView:
    """Returns an export with its download URL."""
    return await exports.read_export(export_id, ctx)


@router.read("GET", "/api/audit/{log_id}", role=Role.ADMIN)
async def read_entry(log_id: str, ctx: Context) -> EntryView:
    """Returns one entry."""
    return EntryView.model_validate(await search.entry_by_id(ctx, log_id))
