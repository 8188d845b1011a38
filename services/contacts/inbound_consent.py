"""Derives a consent statement from an inbound message: from a keyword, or from the fact that the contact wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from libs.common.handle.context import Context
from libs.messaging.content import Choosing, Email, Media, Rich, Text
from libs.messaging.email_reply import reply_text
from libs.messaging.events.inbound import MessageReceived
from libs.messaging.optout import Intent, intent_of
from libs.messaging.vocabulary import Purpose
from services.contacts.changes import evidence_id
from services.contacts.consents import Consent, Kind, moment
from services.contacts.model import Contact, Evidence


def consent_heard(
    contact: Contact, event: MessageReceived, spoken: tuple[str | None, Intent | None], ctx: Context
) -> tuple[Kind, Evidence] | None:
    """Returns the statement in the message, or None. A message is no opt-in, but it permits a reply: a consent to
    ``service``, recorded once, unless the contact opted out or already agreed to that."""
    words, intent = spoken
    this = evidence_id(event.received_at, event.channel, event.message_id)
    if intent is Intent.OPT_OUT:
        kind, how = Kind.WITHDRAWN, "keyword"
    elif intent is Intent.OPT_IN:
        kind, how = Kind.RESTARTED, "keyword"
    elif not _automatic(event) and _first(contact.consent(event.channel), this):
        kind, how, words = Kind.WROTE_IN, "wrote-in", None
    else:
        return None
    return kind, Evidence(
        contact_id=contact.contact_id,
        evidence_id=this,
        channel=event.channel,
        opted_in=kind is not Kind.WITHDRAWN,
        purposes=(Purpose.SERVICE,) if kind is Kind.WROTE_IN else (),
        who="customer",
        how=how,
        words=words,
        message_id=event.message_id,
        at=moment(event.received_at),
        heard_at=ctx.now,
    )


def _automatic(event: MessageReceived) -> bool:
    """Whether a mail was generated, such as an absence note or a list mail (RFC 3834). It does not permit a reply."""
    headers = event.details.get("headers")
    auto_submitted = headers.get("auto-submitted", "no") if isinstance(headers, dict) else "no"
    return str(auto_submitted).partition(";")[0].strip().lower() != "no"


def _first(consent: Consent, this: str) -> bool:
    """Whether this message is the one that permits a reply: none does yet, or it is older than that one. (Ids of
    evidence sort by time.)"""
    known = consent.heard.get(Kind.WROTE_IN)
    needed = not consent.covers(Purpose.SERVICE) and consent.opted_out_at is None
    return needed or (known is not None and this < known.evidence_id)


def intent_in(content: object, known: Mapping[str, Intent]) -> tuple[str | None, Intent | None]:
    """Returns the text with a keyword and its intent; opt-out and opt-in take precedence over help."""
    found = [(words, intent) for words in _spoken(content) if (intent := intent_of(words, known)) is not None]
    return min(found, key=lambda each: each[1] is Intent.HELP, default=(None, None))


def _spoken(content: object) -> Iterable[str]:
    """The texts of a message that can hold a keyword; includes an e-mail's subject and the title of a tapped button."""
    if isinstance(content, Text):
        return [content.body]
    if isinstance(content, Choosing):
        return [content.title]
    if isinstance(content, Email):
        return [reply_text(content.text or ""), content.subject]
    if isinstance(content, Media):
        return [content.caption or ""]
    return [content.text or ""] if isinstance(content, Rich) else []
