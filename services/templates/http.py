"""HTTP routes of ``/api/templates``."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from libs.common.aws.auth import Role
from libs.common.clock import Timestamp
from libs.common.declare.wire import PageView, View
from libs.common.handle.context import Context, Done
from libs.common.hosts.http.routes import SMALL_MAX_BODY_BYTES, Api, Cursor, Limit
from libs.messaging.channels import Channel
from libs.messaging.templates import TemplateStatus
from services.templates import changes, requests
from services.templates import preview as previews
from services.templates.model import LISTED, AccountState, Catalogue, Template, TemplateVersion, Variable
from services.templates.requests import CreateTemplate, Publish, Submit, Words

router = Api()


class TemplateView(View):
    """One template. ``latest`` is the highest version number, ``live`` the version that is sent."""

    template_id: str
    channel: Channel
    name: str
    language: str
    category: str
    status: TemplateStatus
    reason: str | None = None
    quality: str | None = None
    latest: int
    live: int | None = None
    submitting: int | None = None
    accounts: dict[str, AccountState]
    archived_at: Timestamp | None = None
    created_by: str
    created_at: Timestamp
    updated_at: Timestamp


class VersionView(View):
    number: int
    body: str | None = None
    subject: str | None = None
    html: str | None = None
    ssml: bool = False
    voice: str | None = None
    components: list[dict[str, Any]]
    variables: list[Variable]
    created_by: str
    created_at: Timestamp


class TemplateDetail(TemplateView):
    """A template with its versions, newest first."""

    versions: list[VersionView]


class TemplatePage(PageView[TemplateView]):
    pass


class Preview(View):
    """A preview request. ``variables`` defaults to the examples, ``number`` to the newest version."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    number: int | None = Field(default=None, ge=1)
    variables: dict[str, str] | None = None


class SmsParts(View):
    """The parts of an SMS. ``offending``: the characters that are not in the GSM alphabet."""

    encoding: str
    units: int
    parts: int
    left: int
    too_long: bool
    offending: tuple[str, ...]


class PreviewView(View):
    """``content`` as the channel would receive it; for WhatsApp the components with the values filled in."""

    number: int
    content: dict[str, Any]
    sms: SmsParts | None = None


class SyncView(View):
    due: Timestamp
    read_at: Timestamp | None = None


@router.read("GET", "/api/templates", role=Role.VIEWER)
async def list_templates(
    ctx: Context,
    channel: Channel | None = None,
    status: TemplateStatus | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> TemplatePage:
    """Lists templates by channel, name and language; a page filtered by status may be short and still have a cursor."""
    prefix = f"{channel}:" if channel else None
    page = await ctx.query(Template, LISTED, index="by-listing", prefix=prefix, limit=limit, cursor=cursor)
    items = [TemplateView.model_validate(each) for each in page.items if status in (None, each.status)]
    return TemplatePage(items=items, cursor=page.cursor)


@router.write("POST", "/api/templates", role=Role.OPERATOR, status=201, about="template_id")
async def create_template(body: CreateTemplate, ctx: Context) -> Done[TemplateView]:
    """Creates a template with its first version; it is not sent before it is published or approved."""
    return _seen(await requests.create_template(body, ctx))


@router.write("POST", "/api/templates/sync", role=Role.OPERATOR, status=202)
async def sync_templates(ctx: Context) -> Done[SyncView]:
    """Reads WhatsApp's templates from the provider now."""
    done: Done[Catalogue] = await requests.ask_for_sync(ctx)
    return Done(SyncView.model_validate(done.value), done.events)


@router.read("GET", "/api/templates/{template_id}", role=Role.VIEWER)
async def read_template(template_id: str, ctx: Context) -> TemplateDetail:
    """Returns one template and its versions."""
    template = await changes.existing(ctx, template_id)
    page = await ctx.query(TemplateVersion, template_id, limit=100, newest_first=True)
    view = TemplateView.model_validate(template).model_dump()
    return TemplateDetail(**view, versions=[VersionView.model_validate(each) for each in page.items])


@router.write("POST", "/api/templates/{template_id}/versions", role=Role.OPERATOR, status=201)
async def add_version(template_id: str, body: Words, ctx: Context) -> Done[TemplateView]:
    """Adds a version."""
    return _seen(await requests.add_version(template_id, body, ctx))


@router.write("POST", "/api/templates/{template_id}/publish", role=Role.OPERATOR, max_bytes=SMALL_MAX_BODY_BYTES)
async def publish_template(template_id: str, body: Publish, ctx: Context) -> Done[TemplateView]:
    """Makes this version the one that is sent."""
    return _seen(await requests.publish_template(template_id, body, ctx))


@router.write(
    "POST", "/api/templates/{template_id}/submit", role=Role.OPERATOR, status=202, max_bytes=SMALL_MAX_BODY_BYTES
)
async def submit_template(template_id: str, body: Submit, ctx: Context) -> Done[TemplateView]:
    """Submits a version for Meta's approval."""
    return _seen(await requests.submit_template(template_id, body, ctx))


@router.write("POST", "/api/templates/{template_id}/archive", role=Role.OPERATOR)
async def archive_template(template_id: str, ctx: Context) -> Done[TemplateView]:
    """Archives a template; it is no longer sent."""
    return _seen(await requests.archive_template(template_id, ctx))


@router.read("POST", "/api/templates/{template_id}/preview", role=Role.VIEWER)
async def preview_template(template_id: str, body: Preview, ctx: Context) -> PreviewView:
    """Renders a version with these values."""
    version, content, parts = await previews.preview(ctx, template_id, body.number, body.variables)
    return PreviewView(
        number=version.number, content=content, sms=SmsParts.model_validate(parts) if parts is not None else None
    )


def _seen(done: Done[Template]) -> Done[TemplateView]:
    return done.shown(TemplateView.model_validate(done.value))
