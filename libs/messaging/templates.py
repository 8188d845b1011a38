"""The state of a template for the services that accept or send messages. ``templates`` owns it and publishes all of it
with every change; the others keep a copy of the newest revision and refuse invalid messages by it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from libs.messaging.channels import Channel
from libs.messaging.checks import Refusal
from libs.messaging.content import Template
from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import Purpose


class TemplateStatus(StrEnum):
    """The status of a template. ``approved`` may be sent: it was published, or, on WhatsApp, Meta approved it.
    ``draft`` has no version that was published or submitted; ``deleted`` no longer exists at the provider; ``archived``
    was archived by a user."""

    DRAFT = "draft"
    PENDING = "pending"
    APPROVED = "approved"
    PAUSED = "paused"
    REJECTED = "rejected"
    DISABLED = "disabled"
    DELETED = "deleted"
    ARCHIVED = "archived"


MARKETING = "MARKETING"


class TemplateState(BaseModel):
    """The state. ``revision`` only increases; the highest applies. ``variables`` are those of the texts, in order of
    appearance; None while the provider's definition is not known. ``header`` is Meta's format (TEXT, IMAGE …)."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, populate_by_name=True)

    template_id: str
    channel: Channel
    name: str
    language: str
    revision: int
    status: TemplateStatus
    #: Why it may not be sent, in the provider's text.
    reason: str | None = None
    #: Meta's MARKETING, UTILITY or AUTHENTICATION; on other channels MARKETING or SERVICE.
    category: str | None = None
    #: The number of the version described here.
    number: int | None = None
    variables: tuple[str, ...] | None = None
    header: str | None = None
    header_variables: tuple[str, ...] = ()
    #: Positions of the buttons that take a parameter.
    buttons: tuple[int, ...] = ()
    #: Not on WhatsApp, where the provider renders the message.
    subject: str | None = None
    body: str | None = None
    html: str | None = None
    ssml: bool = False
    voice: str | None = None


def template_id_of(channel: str, name: str, language: str) -> str:
    return f"{channel}:{name}:{language}"


def purpose_of(state: TemplateState | None, asked: Purpose) -> Purpose:
    """Returns MARKETING for a marketing template, whatever purpose the sender gives, unless it is COMPLIANCE (Meta may
    change a template's category to marketing)."""
    marketing = state is not None and state.category == MARKETING and asked is Purpose.SERVICE
    return Purpose.MARKETING if marketing else asked


_MISSING: dict[TemplateStatus, str] = {
    TemplateStatus.DRAFT: "No version of it has been published.",
    TemplateStatus.DELETED: "It was deleted at the provider.",
}


def template_refusal(state: TemplateState | None, content: Template, *, listed: bool) -> Refusal | None:
    """Returns why this content cannot be sent with the template, or None. ``listed``: the copy of the channel's list is
    complete, so a template without a state does not exist; otherwise the provider decides."""
    named = f"{content.name} in {content.language}"
    if state is None:
        return Refusal(ErrorCode.TEMPLATE_MISSING, f"({named})") if listed else None
    if state.status in _MISSING:
        return Refusal(ErrorCode.TEMPLATE_MISSING, f"({named}) {_MISSING[state.status]}")
    if state.status is not TemplateStatus.APPROVED:
        because = f": {state.reason}" if state.reason else ""
        return Refusal(ErrorCode.TEMPLATE_REJECTED, f"{named} is {state.status}{because}.")
    if state.variables is None:
        return None
    problems = [*_text_problems(state, content), *_part_problems(state, content)]
    return Refusal(ErrorCode.VARIABLES_INCOMPLETE, " ".join(problems)) if problems else None


def _text_problems(state: TemplateState, content: Template) -> list[str]:
    wanted = state.variables or ()
    body = _component(content, "body")
    if body is not None:
        given = len(body.get("parameters") or ())
        return [] if given == len(wanted) else [f"The body takes {len(wanted)} parameters and was given {given}."]
    missing = [name for name in wanted if not content.variables.get(name)]
    extra = [name for name in content.variables if name not in wanted]
    found = [f"Missing: {', '.join(missing)}."] if missing else []
    return [*found, *([f"Not part of it: {', '.join(sorted(extra))}."] if extra else [])]


def _part_problems(state: TemplateState, content: Template) -> list[str]:
    """Checks WhatsApp's header and buttons, which have their own parameters."""
    if not state.channel.traits.templates.at_provider:
        return []
    found = []
    has_header = content.header is not None or _component(content, "header") is not None
    if (state.header not in (None, "TEXT", "LOCATION") or state.header_variables) and not has_header:
        found.append(f"Missing: header ({(state.header or 'TEXT').lower()}).")
    # The sender puts the OTP of an authentication template into its button.
    if state.category != "AUTHENTICATION":
        given = {str(each.get("index")) for each in content.components if str(each.get("type")).lower() == "button"}
        found += [f"Missing: button {index}." for index in state.buttons if str(index) not in given]
    return found


def _component(content: Template, kind: Literal["header", "body"]) -> dict[str, Any] | None:
    return next((each for each in content.components if str(each.get("type")).lower() == kind), None)
