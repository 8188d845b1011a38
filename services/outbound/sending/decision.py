"""Decides whether a message may go, from one look at the service's copies: the permission, the template, the settings in force.

Decided once before the claim, where a copy may still lag behind what the message was accepted on, and once after it, where
the copies are as they are. Whatever follows works with the :class:`Decision` and looks nothing up again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from libs.common.errors import RetryLater
from libs.common.handle.context import Context
from libs.messaging import template_copy as templates
from libs.messaging.checks import Refusal, SendFacts, refusal
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageQueued
from libs.messaging.permission import MAX_COPY_LAG, RECHECK_INTERVAL, SHORT_COPY_LAG, Permission
from libs.messaging.permission_copy import permission_of
from libs.messaging.setting_copy import in_force
from libs.messaging.settings import MessagingSettings
from libs.messaging.templates import TemplateState, purpose_of
from libs.messaging.vocabulary import Purpose
from services.outbound.limits.marketing import quiet_hours_refusal

#: Refusals that a copy which lags behind can explain.
MAY_LAG = frozenset(
    {
        ErrorCode.CONTACT_ERASED,
        ErrorCode.NO_CONSENT,
        ErrorCode.OPTED_OUT,
        ErrorCode.WINDOW_CLOSED,
        ErrorCode.TEMPLATE_MISSING,
    }
)


class Refused(Exception):
    """One of the checks refused the message."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.code)
        self.why = why


@dataclass(frozen=True)
class Decision:
    """The message may go: by this permission, for this purpose (the template's, if it has one), under these settings."""

    permission: Permission
    template: TemplateState | None
    purpose: Purpose
    settings: MessagingSettings


async def decide(event: MessageQueued, ctx: Context) -> Decision:
    """Decides before the claim. Raises Refused, SendLater in quiet hours, and RetryLater while a copy may lag behind."""
    permission, template = await _copies(event, ctx)
    purpose = purpose_of(template, event.purpose)
    settings = await in_force(ctx)
    why = await _why_not(event, permission, template, purpose, ctx)
    if why is None and permission is not None:
        why = quiet_hours_refusal(purpose, permission, ctx.now, settings)
    if why is None and permission is not None:
        return Decision(permission, template, purpose, settings)
    why = why or Refusal(ErrorCode.CONTACT_ERASED)
    if why.code in MAY_LAG and ctx.now < event.queued_at + _max_lag(why, permission, event):
        raise RetryLater(ctx.now + RECHECK_INTERVAL, f"refused for now ({why.code}); a copy may lag behind")
    raise Refused(why)


async def still_allowed(event: MessageQueued, ctx: Context) -> None:
    """Decides after the claim: a STOP that was applied before this read wins. Raises Refused."""
    permission, template = await _copies(event, ctx)
    why = await _why_not(event, permission, template, purpose_of(template, event.purpose), ctx)
    if why is not None:
        raise Refused(why)


async def _copies(event: MessageQueued, ctx: Context) -> tuple[Permission | None, TemplateState | None]:
    permission = await permission_of(event.contact_id, event.channel, ctx)
    return permission, await templates.known(event.content, event.channel, ctx)


async def _why_not(
    event: MessageQueued,
    permission: Permission | None,
    template: TemplateState | None,
    purpose: Purpose,
    ctx: Context,
) -> Refusal | None:
    facts = SendFacts(event.channel, purpose, event.content, event.expires_at)
    return refusal(permission, facts, ctx.now) or await templates.why_not(event.content, template, event.channel, ctx)


def _max_lag(why: Refusal, permission: Permission | None, event: MessageQueued) -> timedelta:
    """How long the copies may lag behind what the message was accepted on: not at all, if they know the same permission."""
    if why.code is ErrorCode.TEMPLATE_MISSING or permission is None:
        return MAX_COPY_LAG
    if event.revision is None:
        return SHORT_COPY_LAG
    return MAX_COPY_LAG if permission.revision < event.revision else timedelta()
