"""Suppressed addresses, to which nothing may be sent whatever the consent: set by providers' reports, lifted only by an
administrator. Also the opt-out by an unsubscribe link."""

from __future__ import annotations

from datetime import timedelta

from libs.common.declare.event import Event
from libs.common.errors import Problem, invalid
from libs.common.handle.context import Context, Done
from libs.messaging.channels import Channel
from libs.messaging.events.contacts import SuppressionLifted
from libs.messaging.events.inbound import AddressSuppressed, Unsubscribed
from services.contacts.changes import (
    consent_said,
    evidence_id,
    existing,
    held_by,
    holders,
    permissions_said,
    save,
    state,
)
from services.contacts.consents import Kind, lifted, moment, suppressed
from services.contacts.model import AddressClaim, Contact, Evidence

#: Repeated unsubscribe requests within this time count as one.
SAME_REPORT_WINDOW = timedelta(minutes=1)


async def suppress_address(event: AddressSuppressed, ctx: Context) -> list[Event]:
    """Suppresses the address of the contact that holds it now; a contact that has changed its address is not affected.
    The first reason stays, and a report from before the last lifting changes nothing."""
    kind = event.channel.traits.addresses[0]
    taken = await holders(ctx, [AddressClaim.id_of(kind.name if kind.shared else event.channel, event.address)])
    if not taken:
        return []
    before = await held_by(ctx, next(iter(taken.values())))
    consent = suppressed(before.consent(event.channel), event.reason, event.at)
    if consent == before.consent(event.channel):
        return []
    after = save(ctx, before, before.with_consent(event.channel, consent))
    return permissions_said(before, after)


async def lift_suppression(contact_id: str, channel: Channel, reason: str, ctx: Context) -> Done[Contact]:
    """Lifts a suppression. Raises Problem CONTACT_NOT_FOUND, NOT_SUPPRESSED, or VALIDATION_FAILED without a reason."""
    before = await existing(ctx, contact_id)
    reason, was = reason.strip(), before.consent(channel).suppressed
    if not reason:
        raise invalid("reason", "Say why the address can be written to again.")
    if was is None:
        raise Problem(404, "NOT_SUPPRESSED", f"The contact is not suppressed on {channel}")
    after = save(ctx, before, before.with_consent(channel, lifted(before.consent(channel), ctx.now)))
    events = SuppressionLifted(
        contact_id=contact_id, channel=channel, address=after.address(channel), was=was, reason=reason, at=ctx.now
    )
    return Done(after, (events, *permissions_said(before, after)))


async def unsubscribe(event: Unsubscribed, ctx: Context) -> list[Event]:
    """Opts the contact out of the whole channel: an unsubscribe in any mail applies to all mails. Does nothing for a
    deleted contact."""
    before = await ctx.get(Contact, event.contact_id)
    if before is None or before.deleted_at is not None:
        return []
    consent = before.consent(event.channel)
    withdrawn = consent.heard.get(Kind.WITHDRAWN)
    if consent.opted_out_at and withdrawn and timedelta() <= event.at - withdrawn.at < SAME_REPORT_WINDOW:
        return []
    evidence = Evidence(
        contact_id=before.contact_id,
        evidence_id=evidence_id(event.at, event.channel, event.message_id, "unsubscribe"),
        channel=event.channel,
        opted_in=False,
        who="customer",
        how="one-click",
        words="List-Unsubscribe=One-Click",
        message_id=event.message_id,
        at=moment(event.at),
        heard_at=ctx.now,
    )
    contact = await state(ctx, before, Kind.WITHDRAWN, evidence)
    if contact == before:
        return []
    after = save(ctx, before, contact)
    return [*consent_said(before, after, evidence), *permissions_said(before, after, also=(event.channel,))]
