"""Reads and changes stored templates."""

from __future__ import annotations

from libs.common.errors import Problem
from libs.common.handle.context import Context
from libs.messaging.events.templates import TemplateChanged
from services.templates.model import Template, TemplateVersion, state_of


async def changed(ctx: Context, before: Template, after: Template) -> TemplateChanged:
    """Stages the template and returns its TemplateChanged event."""
    after = after.model_copy(update={"updated_at": ctx.now, "version": before.version})
    ctx.stage(ctx.replace(after))
    place = TemplateVersion.place_of(after.live) if after.live is not None else None
    version = await ctx.get(TemplateVersion, after.template_id, place) if place else None
    state = state_of(after.model_copy(update={"version": before.version + 1}), version)
    return TemplateChanged(template_id=after.template_id, channel=after.channel, state=state)


async def existing(ctx: Context, template_id: str) -> Template:
    """Returns the template. Raises Problem TEMPLATE_NOT_FOUND."""
    template = await ctx.get(Template, template_id)
    if template is None:
        raise Problem(404, "TEMPLATE_NOT_FOUND", "There is no such template")
    return template


async def existing_version(ctx: Context, template: Template, number: int | None) -> TemplateVersion:
    """Returns the version, the newest if no number is given. Raises Problem VERSION_NOT_FOUND."""
    wanted = number or template.latest
    version = await ctx.get(TemplateVersion, template.template_id, TemplateVersion.place_of(wanted))
    if version is None:
        errors = [{"field": "number", "detail": f"It has versions 1 to {template.latest}."}]
        raise Problem(404, "VERSION_NOT_FOUND", "The template has no such version", "", errors)
    return version
