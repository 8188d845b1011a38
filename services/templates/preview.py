"""Renders a version with given values for its channel, without sending."""

from __future__ import annotations

from typing import Any

from libs.common.errors import Problem
from libs.common.handle.context import Context
from libs.messaging.content import Template as Asked
from libs.messaging.content import Text
from libs.messaging.errors import problem_code
from libs.messaging.rendering import VARIABLE, Unfit, rendered
from libs.messaging.segments import Segments, segments
from libs.messaging.templates import TemplateState, TemplateStatus, template_refusal
from services.templates.changes import existing, existing_version
from services.templates.model import Json, Template, TemplateVersion, state_of


async def preview(
    ctx: Context, template_id: str, number: int | None, given: dict[str, str] | None
) -> tuple[TemplateVersion, Json, Segments | None]:
    """Returns ``(version, content, parts of an SMS)``. Without values, the examples are used. Raises Problem."""
    template = await existing(ctx, template_id)
    version = await existing_version(ctx, template, number)
    # Rendered as if it were approved.
    sendable = template.model_copy(update={"status": TemplateStatus.APPROVED})
    state = state_of(sendable, version)
    values = given if given is not None else {each.name: each.example or f"[{each.name}]" for each in version.variables}
    if given is None:
        values = {name: values.get(name, f"[{name}]") for name in state.variables or ()}
    _complete(state, template, values)
    if template.channel.traits.templates.at_provider:
        return version, {"kind": "template", "components": _filled(version.components, values)}, None
    try:
        content = rendered(state, values)
    except Unfit as unfit:
        raise Problem(422, problem_code(unfit.refusal.code), "The values do not fit", unfit.refusal.detail) from None
    counted = segments(content.body) if template.channel.traits.counts_segments and isinstance(content, Text) else None
    return version, content.model_dump(mode="json", by_alias=True, exclude_none=True), counted


def _complete(state: TemplateState, template: Template, values: dict[str, str]) -> None:
    # Header and buttons are not part of the text preview.
    words = state.model_copy(update={"header": None, "header_variables": (), "buttons": ()})
    refused = template_refusal(
        words, Asked(name=template.name, language=template.language, variables=values), listed=True
    )
    if refused is not None:
        errors = [{"field": "variables", "detail": refused.detail}]
        raise Problem(422, problem_code(refused.code), "The values do not fit", refused.detail, errors)


def _filled(components: list[Json], values: dict[str, str]) -> list[Json]:
    def value(text: Any) -> Any:
        return VARIABLE.sub(lambda found: values.get(found.group(1), found.group(0)), text) if text else text

    return [{**each, "text": value(each["text"])} if isinstance(each.get("text"), str) else each for each in components]
