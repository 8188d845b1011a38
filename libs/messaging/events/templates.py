"""Events that ``templates`` publishes."""

from __future__ import annotations

from libs.common.clock import Timestamp
from libs.common.declare.event import Event
from libs.messaging.channels import Channel
from libs.messaging.templates import TemplateState


class TemplateChanged(Event):
    """The complete state of a template, for senders; replaces the previous one."""

    TYPE = "templates.template-changed.v1"
    ABOUT = "template_id"

    template_id: str
    channel: Channel
    state: TemplateState


class TemplatesListed(Event):
    """The provider's list was read completely and contained no changes: a template not published before ``at`` does not
    exist."""

    TYPE = "templates.listed.v1"
    ABOUT = "channel"

    channel: Channel
    at: Timestamp


class SubmissionAsked(Event):
    """Requests that a version is submitted to the provider for approval."""

    TYPE = "templates.submission-asked.v1"
    ABOUT = "template_id"

    template_id: str
    channel: Channel
    number: int
    #: The linked account, by the provider's id; None: the only one.
    account: str | None = None
