"""Exports of delivery figures as CSV in the bucket, downloaded by a presigned URL."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from libs.common.clock import Timestamp
from libs.common.declare.wire import Body, View
from libs.common.handle.context import Context, Done
from libs.messaging import exports
from libs.messaging.channels import Channel
from libs.messaging.exports import CsvExport
from services.insights.delivery import STATUSES, DeliveryView, Wanted, page_of
from services.insights.periods import By

SPANS = (("queuedToSent", "queued_to_sent"), ("sentToDelivered", "sent_to_delivered"))
COLUMNS = (
    "start", "channel", "messageClass", *STATUSES,
    *(f"{name}{what}" for name, _ in SPANS for what in ("Count", "Median", "P95")), "errors",
)  # fmt: skip


class AskFiguresExport(Body):
    """The parameters, as in the list."""

    since: AwareDatetime | None = Field(default=None, alias="from")
    until: AwareDatetime | None = Field(default=None, alias="to")
    channel: Channel | None = None
    by: By = By.HOUR


class FiguresExportView(View):
    """An export. ``url`` is valid for five minutes."""

    export_id: str
    rows: int
    created_at: Timestamp
    url: str | None = None


async def create_export(body: AskFiguresExport, ctx: Context) -> Done[FiguresExportView]:
    """Writes all figures of the list, oldest first. Raises Problem."""
    wanted = Wanted.of(body.since, body.until, body.channel, body.by, ctx.now)
    items: list[DeliveryView] = []
    cursor: str | None = None
    while True:
        page = await page_of(ctx, wanted, cursor)
        items += page.items
        cursor = page.cursor
        if cursor is None:
            break
    made = await exports.create(CsvExport, COLUMNS, [*map(_cells, items)], ctx)
    return Done(FiguresExportView.model_validate(made), after={"rows": made.rows})


async def read_export(export_id: str, ctx: Context) -> FiguresExportView:
    """Returns the export with a download URL. Raises Problem 404."""
    made, url = await exports.read(CsvExport, export_id, "delivery", ctx)
    return FiguresExportView.model_validate(made).model_copy(update={"url": url})


def _cells(item: DeliveryView) -> list[Any]:
    cells: list[Any] = [item.start.isoformat(), item.channel, item.message_class]
    cells += [getattr(item, name) for name in STATUSES]
    for _, field in SPANS:
        span = getattr(item, field)
        cells += [span.count, span.median, span.p95] if span else [None, None, None]
    return [*cells, " ".join(f"{error.code}={error.count}" for error in item.errors)]
