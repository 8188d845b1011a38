"""HTTP routes of ``/api/insights``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime

from libs.common.aws.auth import Role
from libs.common.handle.context import Context, Done
from libs.common.hosts.http.routes import SMALL_MAX_BODY_BYTES, Api, Cursor
from libs.messaging.channels import Channel
from services.insights import delivery, exports
from services.insights import overview as overviews
from services.insights.delivery import DeliveryPage, Wanted
from services.insights.exports import AskFiguresExport, FiguresExportView
from services.insights.overview import Overview
from services.insights.periods import By

router = Api()
From = Annotated[AwareDatetime | None, Query(alias="from")]
To = Annotated[AwareDatetime | None, Query(alias="to")]


@router.read("GET", "/api/insights/delivery", role=Role.VIEWER)
async def read_delivery(
    ctx: Context, since: From = None, until: To = None, channel: Channel | None = None, by: By = By.HOUR, cursor: Cursor = None
) -> DeliveryPage:  # fmt: skip
    """Returns delivery by channel, class and hour or day (UTC), oldest first; without ``from`` and ``to`` the last 24
    hours or 30 days."""
    return await delivery.page_of(ctx, Wanted.of(since, until, channel, by, ctx.now), cursor)


@router.read("GET", "/api/insights/overview", role=Role.VIEWER)
async def read_overview(ctx: Context) -> Overview:
    """Returns today's figures and yesterday's up to the same time, errors with explanations, error rates, open dead
    letters, uncertain sends."""
    return await overviews.overview(ctx)


@router.write(
    "POST", "/api/insights/exports", role=Role.VIEWER, status=201, about="export_id", max_bytes=SMALL_MAX_BODY_BYTES
)
async def create_export(body: AskFiguresExport, ctx: Context) -> Done[FiguresExportView]:
    """Writes delivery figures to a CSV file; GET returns its download URL."""
    return await exports.create_export(body, ctx)


@router.read("GET", "/api/insights/exports/{export_id}", role=Role.VIEWER)
async def read_export(export_id: str, ctx: Context) -> FiguresExportView:
    """Returns an export with its download URL."""
    return await exports.read_export(export_id, ctx)
