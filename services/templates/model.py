"""Items of ``templates``: templates, their versions, and the provider's status in each linked account; pure."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.declare.wire import Part
from libs.common.store.item import Index, Item, Table
from libs.messaging.channels import Channel
from libs.messaging.rendering import variables
from libs.messaging.templates import TemplateState, TemplateStatus

#: The single index key under which all templates are listed; there are few.
LISTED = "all"

Json = dict[str, Any]


class AccountState(Part):
    """Meta's status of the template in one WhatsApp business account."""

    status: TemplateStatus
    meta_id: str | None = None
    category: str | None = None
    quality: str | None = None
    reason: str | None = None


class Variable(Part):
    """A variable: ``1``, ``2`` … for positional ones, else a name; ``example`` is used in previews and given to Meta's
    reviewers."""

    name: str
    example: str = ""


class Template(Item):
    """A template. ``version`` (of the row) is the revision in its events. ``latest`` is the highest version number,
    ``live`` the version that is sent, ``submitting`` the one that is being submitted to the provider."""

    TABLE: ClassVar[Table] = Table(
        "template", key="templateId", indexes=(Index("by-listing", hash="listed", sort="templateId"),)
    )

    template_id: str
    channel: Channel
    name: str
    language: str
    category: str
    status: TemplateStatus = TemplateStatus.DRAFT
    reason: str | None = None
    quality: str | None = None
    latest: int = 0
    live: int | None = None
    submitting: int | None = None
    #: By Meta's id of the business account.
    accounts: dict[str, AccountState] = Field(default_factory=dict)
    #: When the provider's definition was last read.
    read_at: Timestamp | None = None
    archived_at: Timestamp | None = None
    created_by: str
    created_at: Timestamp
    updated_at: Timestamp
    listed: str = LISTED


class TemplateVersion(Item):
    """The content of one version; immutable. WhatsApp uses Meta's ``components``, the other channels the other
    fields."""

    TABLE: ClassVar[Table] = Table("version", key="templateId", sort="place")

    template_id: str
    #: The number, padded so that text order equals numeric order.
    place: str
    number: int
    body: str | None = None
    subject: str | None = None
    html: str | None = None
    ssml: bool = False
    voice: str | None = None
    components: list[Json] = Field(default_factory=list)
    parameter_format: str = "POSITIONAL"
    variables: list[Variable] = Field(default_factory=list)
    #: A user's id, or ``provider`` for a version that was written at the provider.
    created_by: str
    created_at: Timestamp

    @staticmethod
    def place_of(number: int) -> str:
        return f"{number:05d}"

    def says_the_same(self, other: TemplateVersion) -> bool:
        ours, theirs = (
            each.model_dump(include={"body", "subject", "html", "ssml", "voice", "components", "parameter_format"})
            for each in (self, other)
        )
        return ours == theirs


class Catalogue(Item):
    """The schedule of reading a provider's list. ``changed``: the last reading had changes; ``again``: publish every
    template again."""

    TABLE: ClassVar[Table] = Table("catalogue", key="id")

    id: str
    due: Timestamp
    read_at: Timestamp | None = None
    changed: bool = True
    again: bool = False


#: Statuses by precedence: the template's status is the first of these that any account has.
_BEST = [
    TemplateStatus.APPROVED,
    TemplateStatus.PENDING,
    TemplateStatus.PAUSED,
    TemplateStatus.REJECTED,
    TemplateStatus.DISABLED,
    TemplateStatus.DELETED,
]


def settled(template: Template) -> Template:
    """Returns the template with the status that follows from its accounts and from being archived."""
    best = min(template.accounts.values(), key=lambda each: _BEST.index(each.status), default=None)
    if best is not None:
        reported = {"status": best.status, "reason": best.reason, "quality": best.quality}
        template = template.model_copy(update={**reported, "category": best.category or template.category})
    if template.archived_at is not None:
        return template.model_copy(update={"status": TemplateStatus.ARCHIVED, "reason": None})
    return template


def component(components: list[Json], kind: str) -> Json | None:
    return next((each for each in components if str(each.get("type", "")).upper() == kind), None)


def body_variables(components: list[Json]) -> tuple[str, ...]:
    """Returns the variables of Meta's body. An authentication template may have no text and always takes one code."""
    body = component(components, "BODY")
    if body is None:
        return ()
    text = body.get("text")
    return variables(text) if isinstance(text, str) else ("1",)


def state_of(template: Template, version: TemplateVersion | None) -> TemplateState:
    """Returns the facts that other services need."""
    state = TemplateState(
        template_id=template.template_id,
        channel=template.channel,
        name=template.name,
        language=template.language,
        revision=template.version,
        status=template.status,
        reason=template.reason,
        category=template.category,
        number=version.number if version else None,
    )
    if version is None:
        return state
    if template.channel.traits.templates.at_provider:
        return state.model_copy(update=_meta_shape(version.components))
    written = version.model_dump(include={"subject", "body", "html", "ssml", "voice"})
    return state.model_copy(update={**written, "variables": variables(version.subject, version.body, version.html)})


def _meta_shape(components: list[Json]) -> Json:
    header = component(components, "HEADER")
    buttons = (component(components, "BUTTONS") or {}).get("buttons") or []
    taking = [place for place, button in enumerate(buttons) if isinstance(button, dict) and _takes(button)]
    return {
        "variables": body_variables(components),
        "header": str(header.get("format", "TEXT")).upper() if header else None,
        "header_variables": variables(str(header.get("text", ""))) if header else (),
        "buttons": tuple(taking),
    }


def _takes(button: Json) -> bool:
    kind = str(button.get("type", "")).upper()
    return kind == "COPY_CODE" or (kind == "URL" and "{{" in str(button.get("url", "")))
