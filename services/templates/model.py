"""Templates, their versions, and what the provider says of them in each linked account; pure."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.declare.wire import Part
from libs.common.store.item import Index, Item, Table
from libs.messaging.channels import Channel
from libs.messaging.rendering import variables
from libs.messaging.templates import TemplateState, TemplateStatus

#: The one key under which all templates are listed; they are few.
LISTED = "all"

Json = dict[str, Any]


class AccountState(Part):
    """What Meta says of the template in one WhatsApp business account."""

    status: TemplateStatus
    meta_id: str | None = None
    category: str | None = None
    quality: str | None = None
    reason: str | None = None


class Variable(Part):
    """``1``, ``2`` … for positional ones, else a name; ``example`` is shown in previews and given to Meta's reviewers."""

    name: str
    example: str = ""


class Template(Item):
    """``version`` (of the row) is the revision in all that is said. ``latest`` is the highest number of a version, ``live``
    the one that is sent, ``submitting`` one on its way to the provider."""

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
    """What a version says. It is written once and never changes. WhatsApp has Meta's ``components``, the others the rest."""

    TABLE: ClassVar[Table] = Table("version", key="templateId", sort="place")

    template_id: str
    #: The number, so wide that text order is their order.
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
    #: A person's id, or ``provider`` for what was written there.
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
    """When a provider's list is to be read next. ``changed`` while the last reading of it had news; ``again`` asks to say
    everything once more."""

    TABLE: ClassVar[Table] = Table("catalogue", key="id")

    id: str
    due: Timestamp
    read_at: Timestamp | None = None
    changed: bool = True
    again: bool = False


#: Whichever account can send it decides; of the rest the one that is nearest to that.
_BEST = [
    TemplateStatus.APPROVED,
    TemplateStatus.PENDING,
    TemplateStatus.PAUSED,
    TemplateStatus.REJECTED,
    TemplateStatus.DISABLED,
    TemplateStatus.DELETED,
]


def settled(template: Template) -> Template:
    """The template with what follows from its accounts and from being archived."""
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
    """Of Meta's body; an authentication template may come without its text, and always takes one code."""
    body = component(components, "BODY")
    if body is None:
        return ()
    text = body.get("text")
    return variables(text) if isinstance(text, str) else ("1",)


def state_of(template: Template, version: TemplateVersion | None) -> TemplateState:
    """All that the others must know."""
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
