"""A service's own copy of the templates (it owns :class:`TemplateCopy` and hears both events), and what a message by template
comes to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from libs.common.declare.event import Event
from libs.common.handle.context import Context
from libs.common.store.ops import Store
from libs.messaging.channels import Channel
from libs.messaging.checks import Refusal
from libs.messaging.content import Content, Template
from libs.messaging.events.templates import TemplateChanged, TemplatesListed
from libs.messaging.rendering import Unfit, rendered
from libs.messaging.templates import (
    TemplateCopy,
    TemplateState,
    newest_template,
    template_id_of,
    template_refusal,
)

#: A job of a hundred thousand asks for the same template as often; other processes hear of a change this much later.
CACHE_TTL = timedelta(seconds=2)

_seen: WeakKeyDictionary[Store, dict[str, tuple[datetime, TemplateCopy | None]]] = WeakKeyDictionary()


async def template_changed(event: TemplateChanged, ctx: Context) -> Sequence[Event]:
    """The newest revision wins."""
    copy = await ctx.get(TemplateCopy, event.template_id)
    row = newest_template(copy, event.state)
    _forget(ctx, event.template_id)
    if row is not None:
        await ctx.save(row, over=copy)
    return ()


async def templates_listed(event: TemplatesListed, ctx: Context) -> Sequence[Event]:
    """From now on what is not known does not exist."""
    listed = TemplateCopy.id_of_list(event.channel)
    await ctx.write(ctx.put(TemplateCopy(id=listed, synced_at=event.at)))
    _forget(ctx, listed)
    return ()


async def known(content: Content, channel: Channel, ctx: Context) -> TemplateState | None:
    """What is known of the template that the content names."""
    if not isinstance(content, Template):
        return None
    copy = await _copy(template_id_of(channel, content.name, content.language), ctx)
    return copy.state if copy else None


async def why_not(content: Content, state: TemplateState | None, channel: Channel, ctx: Context) -> Refusal | None:
    """Why it cannot be sent by this template, or None."""
    if not isinstance(content, Template):
        return None
    # Templates that no provider keeps exist only with us.
    listed = not channel.traits.templates.at_provider or await _copy(TemplateCopy.id_of_list(channel), ctx) is not None
    return template_refusal(state, content, listed=listed)


def written_out(content: Content, state: TemplateState | None, channel: Channel) -> Content | Refusal:
    """On channels whose provider does not know templates, the message itself."""
    if not isinstance(content, Template) or channel.traits.templates.at_provider or state is None:
        return content
    try:
        return rendered(state, content.variables)
    except Unfit as unfit:
        return unfit.refusal


async def _copy(template_id: str, ctx: Context) -> TemplateCopy | None:
    seen = _seen.setdefault(ctx.store, {})
    found = seen.get(template_id)
    if found is None or ctx.now >= found[0] or ctx.fresh:
        if len(seen) > 1000:
            seen.clear()
        found = seen[template_id] = (ctx.now + CACHE_TTL, await ctx.get(TemplateCopy, template_id))
    return found[1]


def _forget(ctx: Context, template_id: str) -> None:
    _seen.setdefault(ctx.store, {}).pop(template_id, None)
