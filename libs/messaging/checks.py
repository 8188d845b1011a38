"""Before any send: the checks in their order, each with a reason on refusal. Nothing is "best effort".

They run when a message is accepted and again at the claim, on the service's own copy of the permission; a STOP that arrives
in between wins. (What needs the provider's limits, the rate lease and the budget, is the pipeline's.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.messaging.content import Template
from libs.messaging.errors import EXPLANATIONS, ErrorCode
from libs.messaging.permission import Standing
from libs.messaging.words import Channel, Purpose

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
#: Meta's business-scoped user id (``CC.`` and up to 128 alphanumerics), for users without a phone number.
BUSINESS_SCOPED_ID = re.compile(r"[A-Z]{2}\.([A-Z]+\.)?[A-Za-z0-9]{1,128}")
#: RFC 5322's dot-atom form: what a mail system of today delivers to.
EMAIL = re.compile(r"[^@\s\"(),:;<>\[\]\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)+")


#: The answer to STOP or HELP needs no consent, but a message that it answers.
ANSWER_WITHIN = timedelta(minutes=15)


@dataclass(frozen=True)
class Refusal:
    """Why not. ``detail`` adds the facts of this case (a time, a name), never personal data."""

    code: ErrorCode
    detail: str = ""

    def text(self) -> str:
        explained = EXPLANATIONS[self.code]
        return " ".join(part for part in (explained.means, self.detail, explained.do) if part)


@dataclass(frozen=True)
class Asked:
    """What a send asks for."""

    channel: Channel
    purpose: Purpose
    content: object
    expires_at: datetime | None = None


def address_valid(channel: Channel, address: str | None) -> bool:
    """Whether the address can be written to on the channel."""
    if not address:
        return False
    if channel is Channel.EMAIL:
        return len(address) <= 320 and EMAIL.fullmatch(address) is not None
    if channel is Channel.WHATSAPP and BUSINESS_SCOPED_ID.fullmatch(address):
        return True
    return E164.fullmatch(address) is not None


def refusal(standing: Standing | None, asked: Asked, now: datetime) -> Refusal | None:
    """The first reason not to send, or None."""
    if standing is None or standing.deleted:
        return Refusal(ErrorCode.CONTACT_ERASED)
    if not address_valid(asked.channel, standing.address):
        return Refusal(ErrorCode.INVALID_RECIPIENT)
    unwanted = _unwanted(standing, asked, now)
    if unwanted is not None:
        return unwanted
    if standing.suppressed:
        return Refusal(ErrorCode.SUPPRESSED, f"({standing.suppressed})")
    if asked.channel is Channel.WHATSAPP and not isinstance(asked.content, Template) and not standing.window_open(now):
        return Refusal(ErrorCode.WINDOW_CLOSED)
    if asked.expires_at is not None and asked.expires_at <= now:
        return Refusal(ErrorCode.EXPIRED)
    return None


def _unwanted(standing: Standing, asked: Asked, now: datetime) -> Refusal | None:
    if asked.purpose is Purpose.COMPLIANCE:
        if standing.last_inbound_at is None or now > standing.last_inbound_at + ANSWER_WITHIN:
            return Refusal(ErrorCode.NO_CONSENT, "Such an answer goes only to somebody who has just written.")
        return None
    if standing.opted_out_at is not None:
        return Refusal(ErrorCode.OPTED_OUT)
    if not standing.opted_in:
        return Refusal(ErrorCode.NO_CONSENT)
    if standing.purposes and asked.purpose.value not in standing.purposes:
        return Refusal(ErrorCode.NO_CONSENT, f"The consent does not cover {asked.purpose.value}.")
    return None
