"""What follows from what ``contacts`` hears: somebody wrote, changed their mind at the provider, or a sender obeys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from libs.common.clock import iso
from libs.common.declare.event import Event
from libs.common.errors import Poison
from libs.common.handle.context import Context
from libs.common.store.ops import When
from libs.messaging.addresses import AddressKind
from libs.messaging.channels import Channel
from libs.messaging.content import Choosing, Email, Media, Rich, Text
from libs.messaging.email_reply import reply_text
from libs.messaging.events.contacts import ContactWroteIn, HelpAsked, OptedBackIn, OptOutEffective
from libs.messaging.events.inbound import MessageReceived, PreferenceChanged
from libs.messaging.events.outbound import OptOutFound, PermissionApplied
from libs.messaging.optout import Intent, intent_of, keywords_in_force
from libs.messaging.setting_copy import in_force
from libs.messaging.vocabulary import Purpose
from services.contacts.changes import (
    consent_said,
    evidence_id,
    held_by,
    holders,
    new_contact,
    permissions_said,
    profile_said,
    save,
    state,
)
from services.contacts.consents import Consent, Kind, moment, wrote_in
from services.contacts.model import MAX_NAME_LENGTH, AddressClaim, Contact, Evidence


@dataclass(frozen=True)
class Sender:
    """How an event names its sender: an address of a kind that channels share, the provider's own id of the user, or both."""

    channel: Channel
    kind: AddressKind | None = None
    address: str | None = None
    user_id: str | None = None

    @staticmethod
    def of(channel: Channel, address: str | None, user_id: str | None = None) -> Sender:
        """Raises Poison when nobody is named. What is no address (a short code) still tells one sender from another."""
        if not address and not user_id:
            raise Poison("the event names nobody")
        kinds = (kind for kind in channel.traits.addresses if kind.shared)
        kind = next((kind for kind in kinds if address and kind.valid(address)), None)
        if kind is None:
            return Sender(channel, user_id=user_id or address)
        return Sender(channel, kind, address, user_id)

    def claims(self) -> list[str]:
        """The surest first."""
        named = ((self.kind.name if self.kind else "", self.address), (str(self.channel), self.user_id))
        return [AddressClaim.id_of(kind, address) for kind, address in named if address]


async def receive_message(event: MessageReceived, ctx: Context) -> list[Event]:
    """Find or make the contact, move its window, and do what an opt-out word asks for."""
    before, contact = await _found(ctx, Sender.of(event.channel, event.sender, event.sender_user_id))
    if not contact.name and event.sender_name:
        contact = contact.model_copy(update={"name": event.sender_name.strip()[:MAX_NAME_LENGTH] or None})
    contact = _touched(contact, event.channel, event.received_at)
    intent = _asked(event.content, keywords_in_force(await in_force(ctx)))
    heard = _heard(contact, event, intent, ctx)
    if heard:
        contact = await state(ctx, contact, *heard)
    after = save(ctx, before, contact) if contact != before else contact
    facts = event.model_dump(include=set(ContactWroteIn.model_fields))
    return [
        *profile_said(before, after),
        *(consent_said(before, after, heard[1]) if heard else ()),
        *permissions_said(before, after, also=(event.channel,)),
        *_intent_events(before, after, event, intent[1]),
        ContactWroteIn(contact_id=after.contact_id, **facts),
    ]


def _intent_events(
    before: Contact | None, after: Contact, event: MessageReceived, intent: Intent | None
) -> list[Event]:
    """What wants an answer. An opt-out has to be applied first; see :func:`note_applied`."""
    facts = {"contact_id": after.contact_id, "channel": event.channel, "message_id": event.message_id}
    if intent is Intent.HELP and event.channel.traits.answers_help:
        return [HelpAsked(**facts, at=event.received_at)]
    was_out = before is not None and before.consent(event.channel).opted_out_at is not None
    if intent is Intent.OPT_IN and was_out and after.consent(event.channel).opted_out_at is None:
        return [OptedBackIn(**facts, at=event.received_at)]
    return []


async def note_preference(event: PreferenceChanged, ctx: Context) -> list[Event]:
    """They chose at the provider itself. Coming back there lifts what was stopped; it agrees to nothing new. Somebody we do
    not know yet is kept too: an opt-out must not be lost because it came before the first message."""
    before, contact = await _found(ctx, Sender.of(event.channel, event.address))
    if event.scope == "marketing":
        kind = Kind.MARKETING_RESUMED if event.wanted else Kind.MARKETING_STOPPED
    else:
        kind = Kind.RESTARTED if event.wanted else Kind.WITHDRAWN
    evidence = Evidence(
        contact_id=contact.contact_id,
        evidence_id=evidence_id(event.at, event.channel, event.address, event.scope, str(event.wanted)),
        channel=event.channel,
        opted_in=event.wanted,
        purposes=(Purpose.MARKETING,) if event.scope == "marketing" else (),
        who="customer",
        how="provider",
        words=f"{event.scope}: {'resume' if event.wanted else 'stop'}",
        at=moment(event.at),
        heard_at=ctx.now,
    )
    contact = await state(ctx, contact, kind, evidence)
    if contact == before:
        return permissions_said(before, contact, also=(event.channel,))
    after = save(ctx, before, contact)
    return [
        *profile_said(before, after),
        *consent_said(before, after, evidence),
        *permissions_said(before, after, also=(event.channel,)),
    ]


async def note_found_out(event: OptOutFound, ctx: Context) -> list[Event]:
    """The provider keeps them on a list of those who do not want to hear from us, and would take nothing for them: so they
    said so, if not to us."""
    before = await ctx.get(Contact, event.contact_id)
    if before is None or before.deleted_at is not None:
        return []
    marketing = event.scope == "marketing"
    evidence = Evidence(
        contact_id=before.contact_id,
        evidence_id=evidence_id(event.at, event.channel, event.message_id, event.provider_code),
        channel=event.channel,
        opted_in=False,
        purposes=(Purpose.MARKETING,) if marketing else (),
        who="provider",
        how="provider",
        words=event.provider_code,
        message_id=event.message_id,
        at=moment(event.at),
        heard_at=ctx.now,
    )
    contact = await state(ctx, before, Kind.MARKETING_STOPPED if marketing else Kind.WITHDRAWN, evidence)
    if contact == before:
        return permissions_said(before, contact, also=(event.channel,))
    after = save(ctx, before, contact)
    return [*consent_said(before, after, evidence), *permissions_said(before, after, also=(event.channel,))]


async def note_applied(event: PermissionApplied, ctx: Context) -> list[Event]:
    """A sender obeys an opt-out: from now on it is in force. Said once."""
    contact = await ctx.get(Contact, event.contact_id)
    consent = contact.consent(event.channel) if contact else None
    if contact is None or consent is None or not consent.awaiting or event.revision < consent.awaiting_revision:
        return []
    applied = iso(event.at)
    for each in consent.awaiting:
        once = (When("effectiveAt", "missing"),)
        ctx.stage(ctx.update(Evidence, contact.contact_id, each, set={"effectiveAt": applied}, when=once))
    first = await ctx.get(Evidence, contact.contact_id, consent.awaiting[0])
    done = consent.model_copy(update={"awaiting": (), "effective_at": moment(event.at)})
    save(ctx, contact, contact.with_consent(event.channel, done))
    return [
        OptOutEffective(
            contact_id=contact.contact_id,
            channel=event.channel,
            evidence_id=consent.awaiting[0],
            at=event.at,
            how=first.how if first else None,
            message_id=first.message_id if first else None,
        )
    ]


async def _found(ctx: Context, sender: Sender) -> tuple[Contact | None, Contact]:
    """The contact as it stands (None: not known yet), and with what this event adds to who it is."""
    taken = await holders(ctx, sender.claims())
    before = await held_by(ctx, next(iter(taken.values()))) if taken else None
    contact = before or new_contact(ctx)

    def free(kind: str, address: str) -> bool:
        return taken.get(AddressClaim.id_of(kind, address), contact.contact_id) == contact.contact_id

    added: dict[str, object] = {}
    kind, address = sender.kind, sender.address
    if kind and address and not contact.held(kind, sender.channel) and free(kind.name, address):
        added[kind.name] = address
    if sender.user_id and free(sender.channel, sender.user_id):
        added["provider_user_ids"] = {**contact.provider_user_ids, sender.channel: sender.user_id}
    return before, contact.model_copy(update=added)


def _touched(contact: Contact, channel: Channel, at: datetime) -> Contact:
    contact = contact.with_consent(channel, wrote_in(contact.consent(channel), at))
    last = contact.last_inbound_message_at
    if last is None or last < moment(at):
        contact = contact.model_copy(update={"last_inbound_message_at": moment(at)})
    return contact


def _heard(
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


def _asked(content: object, known: Mapping[str, Intent]) -> tuple[str | None, Intent | None]:
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
