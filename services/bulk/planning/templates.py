"""The content of a job: the frozen copy, and its variables."""

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
    """Returns the current text of the template on channels whose provider does not store templates; otherwise the
    content unchanged. Raises Problem for a template that cannot be sent."""
    if not isinstance(content, Template):
        return content
    state = await template_copy.known(content, channel, ctx)
    # The recipients provide the variables; here only the template itself is checked.
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
    # The template's text, with its variables not filled in.
    return as_content(state, state.body or "", state.subject, state.html)


async def variables_of(channel: Channel, asked: Content, content: Content, ctx: Context) -> Sequence[str]:
    """Returns the variables that each recipient needs: from the template's definition if known, else from the
    content."""
    if isinstance(content, Template):
        state = await template_copy.known(asked, channel, ctx)
        if state is not None and state.variables is not None:
            return state.variables
    return wanted(content)


async def category(channel: Channel, content: Content, ctx: Context) -> str | None:
    """Returns Meta's category, which determines the price."""
    state = await template_copy.known(content, channel, ctx)
    return state.category if state else None
