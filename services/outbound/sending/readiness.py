"""Whether a message may go: it is ready, or refused with a reason, perhaps only because a copy lags behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from libs.messaging.checks import Refusal
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageQueued
from libs.messaging.permission import MAX_COPY_LAG, SHORT_COPY_LAG, Permission
from services.outbound.contract import Outgoing, Request

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
    """One of the checks said no."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.code)
        self.why = why


class Ready(NamedTuple):
    """A message that may go: the permission it goes by, what goes out, the provider's request, its sender; and until when the
    contact has had enough marketing with it."""

    standing: Permission
    outgoing: Outgoing
    request: Request
    sender: str
    full_until: datetime | None


def behind(why: Refusal, standing: Permission | None, event: MessageQueued) -> timedelta:
    """How long our copies may be behind what the message was accepted on: not at all, if we know the same permission."""
    if why.code is ErrorCode.TEMPLATE_MISSING or standing is None:
        return MAX_COPY_LAG
    if event.revision is None:
        return SHORT_COPY_LAG
    return MAX_COPY_LAG if standing.revision < event.revision else timedelta()
