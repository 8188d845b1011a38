"""The content of a job: what is frozen of it, and which variables it takes."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.errors import CopyRefusal
from libs.common.handle.context import Context
from libs.messaging import template_copy
from libs.messaging.channels import Channel
from libs.messaging.content import Content, Template
from libs.messaging.errors import EXPLANATIONS, ErrorCode, problem_code, problem_type
from libs.messaging.personalization import wanted
from libs.messaging.rendering import as_content


async def frozen(channel: Channel, content: Content, ctx: Context) -> Content:
    """On channels whose provider does not know templates, what the template says now. Raises Problem for a template that
    cannot be sent."""
    if not isinstance(content, Template):
        return content
    state = await template_copy.known(content, channel, ctx)
    # Variables come with the recipients; here only the template itself is judged.
    complete = content
    if state is not None and state.variables is not None:
        complete = content.model_copy(update={"variables": dict.fromkeys(state.variables, "-")})
    why = await template_copy.why_not(complete, state, channel, ctx)
    if why is not None and why.code is not ErrorCode.VARIABLES_INCOMPLETE:
        explained = EXPLANATIONS[why.code]
        errors = [{"field": "content.name", "detail": " ".join(filter(None, (why.detail, explained.do)))}]
        problem = problem_type(why.code)
        raise problem(422, problem_code(why.code), explained.means, why.detail, errors)
    if why is not None and state is not None and channel.traits.templates.at_provider:
        raise CopyRefusal(
            422, "VARIABLES_INCOMPLETE", "The template needs parts that are missing", why.detail,
            [{"field": "content", "detail": why.detail}],
        )  # fmt: skip
    if channel.traits.templates.at_provider or state is None:
        return content
    # The template's own text, with its variables in it.
    return as_content(state, state.body or "", state.subject, state.html)


async def variables_of(channel: Channel, asked: Content, content: Content, ctx: Context) -> Sequence[str]:
    """What each recipient needs: by the template's definition where it is known, else what stands in the content."""
    if isinstance(content, Template):
        state = await template_copy.known(asked, channel, ctx)
        if state is not None and state.variables is not None:
            return state.variables
    return wanted(content)


async def category(channel: Channel, content: Content, ctx: Context) -> str | None:
    """Meta's category, by which it is billed."""
    state = await template_copy.known(content, channel, ctx)
    return state.category if state else None
