"""A service's own copy of the templates (it owns :class:`TemplateCopy` and hears ``templates``); checks and renders
template messages."""

from __future__ import annotations

from typing import ClassVar

from libs.common.clock import Timestamp
from libs.common.handle.context import Context
from libs.common.handle.copy import Copy
from libs.common.store.item import Item, Table
from libs.messaging.channels import Channel
from libs.messaging.checks import Refusal
from libs.messaging.content import Content, Template
from libs.messaging.events.templates import TemplateChanged, TemplatesListed
from libs.messaging.rendering import Unfit, rendered
from libs.messaging.templates import TemplateState, template_id_of, template_refusal

#: Cached because a job of 100,000 recipients reads the same template as often; other processes see a change up to this
#: much later.
CACHE_SECONDS = 2.0


class TemplateCopy(Item):
    """The newest :class:`TemplateState` received. The row of a channel itself (``whatsapp:``) has no state: it means
    that every template of the provider was published before ``synced_at``, so a template without a copy does not
    exist."""

    TABLE: ClassVar[Table] = Table("template-copy", key="id")

    id: str
    state: TemplateState | None = None
    synced_at: Timestamp | None = None

    @staticmethod
    def id_of_list(channel: str) -> str:
        return f"{channel}:"


templates = Copy(
    TemplateCopy,
    {
        TemplateChanged: lambda event, now: TemplateCopy(id=event.template_id, state=event.state),
        TemplatesListed: lambda event, now: TemplateCopy(id=TemplateCopy.id_of_list(event.channel), synced_at=event.at),
    },
    revision=lambda row: row.state.revision if row.state else row.synced_at,
    cache_seconds=CACHE_SECONDS,
)


async def known(content: Content, channel: Channel, ctx: Context) -> TemplateState | None:
    """Returns the copy of the template that the content names; None if there is none."""
    if not isinstance(content, Template):
        return None
    copy = await templates.get(ctx, template_id_of(channel, content.name, content.language))
    return copy.state if copy else None


async def why_not(content: Content, state: TemplateState | None, channel: Channel, ctx: Context) -> Refusal | None:
    """Returns why the content cannot be sent with this template, or None."""
    if not isinstance(content, Template):
        return None
    # The list of templates that are not stored at a provider is always complete.
    listed = not channel.traits.templates.at_provider or bool(
        await templates.get(ctx, TemplateCopy.id_of_list(channel))
    )
    return template_refusal(state, content, listed=listed)


def written_out(content: Content, state: TemplateState | None, channel: Channel) -> Content | Refusal:
    """Returns the rendered message on channels whose provider does not store templates; otherwise the content
    unchanged."""
    if not isinstance(content, Template) or channel.traits.templates.at_provider or state is None:
        return content
    try:
        return rendered(state, content.variables)
    except Unfit as unfit:
        return unfit.refusal
