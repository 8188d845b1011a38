"""Requests of ``templates``. A version is immutable; publishing (on WhatsApp: submitting) selects one."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from libs.common.declare.event import Event
from libs.common.declare.wire import Body
from libs.common.errors import Problem
from libs.common.handle.context import Context, Done
from libs.messaging.channels import Channel
from libs.messaging.events.templates import SubmissionAsked
from libs.messaging.templates import TemplateStatus, template_id_of
from services.templates.changes import changed, existing, existing_version
from services.templates.definitions import (
    MAX_DEFINITION_LENGTH,
    components_with_examples,
    definition,
    parameter_format,
    wrong,
)
from services.templates.model import Catalogue, Template, TemplateVersion, Variable, settled
from services.templates.provider import CHANNEL


class VariableIn(Body):
    name: str = Field(pattern=r"^[a-z0-9_]{1,64}$")
    example: str = Field(default="", max_length=1000)


class Words(Body):
    """The content of a version. WhatsApp takes Meta's ``components``, or a ``body`` alone; other channels ``body``,
    e-mail also ``subject`` and ``html``, voice also ``ssml`` and ``voice``. ``variables`` gives examples."""

    body: str | None = Field(default=None, max_length=100_000)
    subject: str | None = Field(default=None, max_length=998)
    html: str | None = Field(default=None, max_length=120_000)
    ssml: bool = False
    voice: str | None = Field(default=None, max_length=40)
    components: list[dict[str, Any]] = Field(default_factory=list, max_length=4)
    variables: list[VariableIn] = Field(default_factory=list, max_length=100)


class CreateTemplate(Words):
    channel: Channel
    name: str = Field(pattern=r"^[a-z0-9_]{1,512}$")
    language: str = Field(default="en_US", pattern=r"^[a-z]{2,3}(_[A-Za-z]{2,4})?$")
    category: Literal["MARKETING", "UTILITY", "AUTHENTICATION", "SERVICE"] = "UTILITY"


class Publish(Body):
    #: The version; the newest if not given.
    number: int | None = Field(default=None, ge=1)


class Submit(Publish):
    #: The linked WhatsApp business account, by AWS's id or Meta's; required if there are several.
    account: str | None = Field(default=None, min_length=1, max_length=200)


async def create_template(body: CreateTemplate, ctx: Context) -> Done[Template]:
    """Creates a template. Raises Problem: TEMPLATE_EXISTS, VALIDATION_FAILED names the fields."""
    template_id = template_id_of(body.channel, body.name, body.language)
    if await ctx.get(Template, template_id) is not None:
        errors = [{"field": "name", "detail": "Write a new version of it, or choose another name or language."}]
        raise Problem(409, "TEMPLATE_EXISTS", "There is such a template already", "", errors, templateId=template_id)
    template = Template(
        version=1,
        template_id=template_id,
        channel=body.channel,
        name=body.name,
        language=body.language,
        category=body.category,
        latest=1,
        created_by=ctx.actor,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    ctx.stage(ctx.insert(template), ctx.insert(_version(ctx, template, body, 1)))
    return Done(template)


async def add_version(template_id: str, body: Words, ctx: Context) -> Done[Template]:
    """Adds a version; it is not sent before it is published or submitted. Raises Problem."""
    template = await existing(ctx, template_id)
    version = _version(ctx, template, body, template.latest + 1)
    after = template.model_copy(update={"latest": version.number, "updated_at": ctx.now})
    ctx.stage(ctx.replace(after), ctx.insert(version))
    return Done(after.model_copy(update={"version": template.version + 1}))


async def publish_template(template_id: str, body: Publish, ctx: Context) -> Done[Template]:
    """Makes this version the one that is sent. Raises Problem."""
    template = await existing(ctx, template_id)
    if template.channel.traits.templates.at_provider:
        raise Problem(
            409, "SUBMIT_INSTEAD", "On WhatsApp, Meta publishes: submit the version", f"POST …/{template_id}/submit"
        )
    version = await existing_version(ctx, template, body.number)
    after = template.model_copy(
        update={"live": version.number, "status": TemplateStatus.APPROVED, "archived_at": None, "updated_at": ctx.now}
    )
    events = await changed(ctx, template, after)
    return _done(template, after, events)


async def archive_template(template_id: str, ctx: Context) -> Done[Template]:
    """Archives the template: it is no longer sent. On WhatsApp nothing changes at Meta. Raises Problem."""
    template = await existing(ctx, template_id)
    if template.archived_at is not None:
        return Done(template)
    after = settled(template.model_copy(update={"archived_at": ctx.now, "updated_at": ctx.now}))
    events = await changed(ctx, template, after)
    return _done(template, after, events)


async def submit_template(template_id: str, body: Submit, ctx: Context) -> Done[Template]:
    """Requests Meta's approval of a version. Raises Problem."""
    template = await existing(ctx, template_id)
    if not template.channel.traits.templates.at_provider:
        raise Problem(409, "PUBLISH_INSTEAD", "Only WhatsApp's templates are approved by somebody else: publish it")
    version = await existing_version(ctx, template, body.number)
    size = len(definition(template, version))
    if size > MAX_DEFINITION_LENGTH:
        raise _invalid(
            [{"field": "components", "detail": f"It comes to {size} bytes; {MAX_DEFINITION_LENGTH} can go."}]
        )
    after = template.model_copy(update={"submitting": version.number, "archived_at": None, "updated_at": ctx.now})
    ctx.stage(ctx.replace(after))
    asked = SubmissionAsked(
        template_id=template_id, channel=template.channel, number=version.number, account=body.account
    )
    return _done(template, after, asked)


def _done(before: Template, after: Template, events: Event) -> Done[Template]:
    was, now = ({"status": each.status, "live": each.live, "submitting": each.submitting} for each in (before, after))
    return Done(after.model_copy(update={"version": before.version + 1}), (events,), was, now)


async def ask_for_sync(ctx: Context) -> Done[Catalogue]:
    """Schedules a reading of the provider's list within seconds, and publishes every template again."""
    book = await ctx.get(Catalogue, CHANNEL)
    if book is None:
        book = Catalogue(id=CHANNEL, version=1, due=ctx.now, again=True)
        ctx.stage(ctx.insert(book))
        return Done(book)
    after = book.model_copy(update={"due": min(book.due, ctx.now), "again": True})
    ctx.stage(ctx.replace(after))
    return Done(after)


def _version(ctx: Context, template: Template, words: Words, number: int) -> TemplateVersion:
    """Returns the version. Raises Problem VALIDATION_FAILED with all errors."""
    given = words.model_dump(include={"body", "subject", "html", "ssml", "voice"})
    variables = [Variable(name=each.name, example=each.example) for each in words.variables]
    components = words.components
    if template.channel.traits.templates.at_provider:
        components = components or [{"type": "BODY", "text": words.body or ""}]
        components = components_with_examples(components, variables)
        given = {}
    version = TemplateVersion(
        **given,
        template_id=template.template_id,
        place=TemplateVersion.place_of(number),
        number=number,
        components=components,
        parameter_format=parameter_format(components),
        variables=variables,
        created_by=ctx.actor,
        created_at=ctx.now,
    )
    errors = wrong(template.channel, version)
    if errors:
        raise _invalid(errors)
    return version


def _invalid(errors: list[dict[str, str]]) -> Problem:
    named = ", ".join(dict.fromkeys(error["field"] for error in errors))
    return Problem(422, "VALIDATION_FAILED", "The template is not as it should be", f"See: {named}", errors)
