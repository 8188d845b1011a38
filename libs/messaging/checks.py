"""Checks before a send, in order; each refusal has an error code.

They run when a message is accepted and again at the claim, on the service's own copy of the permission, so a STOP
received in between applies. (Checks that need the provider's limits, the rate lease and the budget are in the send
pipeline.)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.messaging.channels import Channel
from libs.messaging.content import Template
from libs.messaging.errors import EXPLANATIONS, ErrorCode
from libs.messaging.permission import Permission
from libs.messaging.vocabulary import Purpose

#: The reply to STOP or HELP needs no consent, but an inbound message within this time.
AUTO_REPLY_WINDOW = timedelta(minutes=15)


@dataclass(frozen=True)
class Refusal:
    """The reason for a refusal. ``detail`` adds the facts of the case (a time, a name), never personal data."""

    code: ErrorCode
    detail: str = ""

    def text(self) -> str:
        explained = EXPLANATIONS[self.code]
        return " ".join(part for part in (explained.means, self.detail, explained.do) if part)


@dataclass(frozen=True)
class SendFacts:
    """The properties of a send that the checks need."""

    channel: Channel
    purpose: Purpose
    content: object
    expires_at: datetime | None = None


def refusal(permission: Permission | None, facts: SendFacts, now: datetime) -> Refusal | None:
    """Returns the first reason not to send, or None."""
    if permission is None or permission.deleted:
        return Refusal(ErrorCode.CONTACT_ERASED)
    if not facts.channel.traits.valid(permission.address):
        return Refusal(ErrorCode.INVALID_RECIPIENT)
    unwanted = _consent_refusal(permission, facts, now)
    if unwanted is not None:
        return unwanted
    if permission.suppressed:
        return Refusal(ErrorCode.SUPPRESSED, f"({permission.suppressed})")
    if (
        facts.channel.traits.needs_open_window
        and not isinstance(facts.content, Template)
        and not permission.window_open(now)
    ):
        return Refusal(ErrorCode.WINDOW_CLOSED)
    if facts.expires_at is not None and facts.expires_at <= now:
        return Refusal(ErrorCode.EXPIRED)
    return None


def _consent_refusal(permission: Permission, facts: SendFacts, now: datetime) -> Refusal | None:
    if facts.purpose is Purpose.COMPLIANCE:
        if permission.last_inbound_at is None or now > permission.last_inbound_at + AUTO_REPLY_WINDOW:
            return Refusal(ErrorCode.NO_CONSENT, "Such an answer goes only to somebody who has just written.")
        return None
    if permission.opted_out_at is not None:
        return Refusal(ErrorCode.OPTED_OUT)
    if not permission.opted_in:
        return Refusal(ErrorCode.NO_CONSENT)
    if permission.purposes and facts.purpose.value not in permission.purposes:
        return Refusal(ErrorCode.NO_CONSENT, f"The consent does not cover {facts.purpose.value}.")
    return None
