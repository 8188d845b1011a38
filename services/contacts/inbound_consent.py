"""What an inbound message says about consent, by its words or by having been written at all."""

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
    """What the message says about consent. Writing in is no opt-in, but it does allow an answer: a consent to ``service``,
    recorded once, unless they opted out or already agreed to as much."""
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
    """A mail that nobody wrote: an absence note, a list (RFC 3834). It asks for no answer."""
    headers = event.details.get("headers")
    auto_submitted = headers.get("auto-submitted", "no") if isinstance(headers, dict) else "no"
    return str(auto_submitted).partition(";")[0].strip().lower() != "no"


def _first(consent: Consent, this: str) -> bool:
    """Whether this message is the one that allows an answer: it is needed, or older than the one that did so far. (The ids
    of evidence are in the order of time.)"""
    known = consent.heard.get(Kind.WROTE_IN)
    needed = not consent.covers(Purpose.SERVICE) and consent.opted_out_at is None
    return needed or (known is not None and this < known.evidence_id)


def intent_in(content: object, known: Mapping[str, Intent]) -> tuple[str | None, Intent | None]:
    """The words that ask for something, and what; consent before help."""
    found = [(words, intent) for words in _spoken(content) if (intent := intent_of(words, known)) is not None]
    return min(found, key=lambda each: each[1] is Intent.HELP, default=(None, None))


def _spoken(content: object) -> Iterable[str]:
    """What the contact said in words: an e-mail's subject counts, and the button that was tapped."""
    if isinstance(content, Text):
        return [content.body]
    if isinstance(content, Choosing):
        return [content.title]
    if isinstance(content, Email):
        return [reply_text(content.text or ""), content.subject]
    if isinstance(content, Media):
        return [content.caption or ""]
    return [content.text or ""] if isinstance(content, Rich) else []
