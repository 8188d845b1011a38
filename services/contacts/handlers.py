"""Event handlers of ``contacts``: inbound messages, preferences changed at a provider, opt-outs applied by a sender."""

from __future__ import annotations

from datetime import datetime

from libs.common.clock import iso
from libs.common.declare.event import Event
from libs.common.handle.context import Context
from libs.common.store.ops import When
from libs.messaging.channels import Channel
from libs.messaging.events.contacts import ContactWroteIn, HelpAsked, OptedBackIn, OptOutEffective
from libs.messaging.events.inbound import MessageReceived, PreferenceChanged
from libs.messaging.events.outbound import OptOutFound, PermissionApplied
from libs.messaging.optout import Intent, keywords_in_force
from libs.messaging.setting_copy import in_force
from libs.messaging.vocabulary import Purpose
from services.contacts.changes import consent_said, evidence_id, permissions_said, profile_said, save, state
from services.contacts.consents import Kind, moment, wrote_in
from services.contacts.inbound_consent import consent_heard, intent_in
from services.contacts.model import MAX_NAME_LENGTH, Contact, Evidence
from services.contacts.senders import Sender, find_contact


async def receive_message(event: MessageReceived, ctx: Context) -> list[Event]:
    """Finds or creates the contact, updates its service window, and applies an opt-out, opt-in or help keyword."""
    before, contact = await find_contact(ctx, Sender.of(event.channel, event.sender, event.sender_user_id))
    if not contact.name and event.sender_name:
        contact = contact.model_copy(update={"name": event.sender_name.strip()[:MAX_NAME_LENGTH] or None})
    contact = _touched(contact, event.channel, event.received_at)
    intent = intent_in(event.content, keywords_in_force(await in_force(ctx)))
    heard = consent_heard(contact, event, intent, ctx)
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
    """Returns the events that lead to an automatic answer. An opt-out is answered once it is applied; see
    :func:`note_applied`."""
    facts = {"contact_id": after.contact_id, "channel": event.channel, "message_id": event.message_id}
    if intent is Intent.HELP and event.channel.traits.answers_help:
        return [HelpAsked(**facts, at=event.received_at)]
    was_out = before is not None and before.consent(event.channel).opted_out_at is not None
    if intent is Intent.OPT_IN and was_out and after.consent(event.channel).opted_out_at is None:
        return [OptedBackIn(**facts, at=event.received_at)]
    return []


async def note_preference(event: PreferenceChanged, ctx: Context) -> list[Event]:
    """Records a preference set at the provider. Resuming there lifts what was stopped and adds no consent. A contact is
    created for an unknown address: an opt-out must not be lost because it preceded the first message."""
    before, contact = await find_contact(ctx, Sender.of(event.channel, event.address))
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
    """Records an opt-out that a send revealed: the provider refused the message because the recipient is on its opt-out
    list."""
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
    """Records that a sender has applied an opt-out: it is in force from now on. Publishes OptOutEffective once."""
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


def _touched(contact: Contact, channel: Channel, at: datetime) -> Contact:
    contact = contact.with_consent(channel, wrote_in(contact.consent(channel), at))
    last = contact.last_inbound_message_at
    if last is None or last < moment(at):
        contact = contact.model_copy(update={"last_inbound_message_at": moment(at)})
    return contact
