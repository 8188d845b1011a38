"""Changes of a contact, by a request or an event: stages the writes and builds the events that follow."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from datetime import datetime

from libs.common.clock import derived_id, iso, random_id
from libs.common.declare.event import Event
from libs.common.errors import Conflict, Problem
from libs.common.handle.context import Context
from libs.common.store.ops import Op, When
from libs.messaging.channels import Channel
from libs.messaging.events.contacts import ConsentChanged, ContactCreated, ContactUpdated, PermissionChanged
from services.contacts.consents import Consent, Kind, Statement, stated
from services.contacts.model import AddressClaim, Contact, Evidence, SearchTerm


async def holders(ctx: Context, claims: Iterable[str]) -> dict[str, str]:
    """Returns the addresses that are taken, in the given order: claim -> contactId."""
    found = await asyncio.gather(*(ctx.get(AddressClaim, claim) for claim in claims))
    return {claim.id: claim.contact_id for claim in found if claim is not None}


async def held_by(ctx: Context, contact_id: str) -> Contact:
    """Returns the contact that holds an address. Raises Conflict if it was deleted concurrently."""
    contact = await ctx.get(Contact, contact_id)
    if contact is None or contact.deleted_at is not None:
        raise Conflict("the holder of the address is gone")
    return contact


def new_contact(ctx: Context) -> Contact:
    """Returns a new contact that is not staged yet. The id is derived from the cause: the same cause gives the same
    contact."""
    cause = ctx.cause.id if ctx.cause else random_id()
    return Contact(contact_id=derived_id("contact", cause), created_at=ctx.now, updated_at=ctx.now)


def evidence_id(at: datetime, *what: str) -> str:
    """Returns an id that sorts by time and is the same for each redelivery."""
    return f"{iso(at)}#{derived_id('evidence', *what)}"


def save(ctx: Context, before: Contact | None, after: Contact) -> Contact:
    """Stages the contact with its claims and search terms. Returns it with its new revision. If another contact took a
    claim concurrently, the whole transaction is refused."""
    after = after.model_copy(update={"updated_at": ctx.now})
    saved = after.model_copy(update={"version": after.version + 1})
    ctx.stage(ctx.insert(saved) if before is None else ctx.replace(after))
    ctx.stage(*_claims(ctx, before, after), *_terms(ctx, before, after))
    return saved


def _claims(ctx: Context, before: Contact | None, after: Contact) -> Iterable[Op]:
    had, has = before.claims() if before else set[str](), after.claims()
    for claim in sorted(has - had):
        yield ctx.insert(AddressClaim(id=claim, contact_id=after.contact_id))
    for claim in sorted(had - has):
        yield ctx.delete(AddressClaim, claim, when=(When("contactId", "=", after.contact_id),))


def _terms(ctx: Context, before: Contact | None, after: Contact) -> Iterable[Op]:
    had = {(term.bucket, term.place): term for term in before.search_terms()} if before else {}
    has = {(term.bucket, term.place): term for term in after.search_terms()}
    for key, term in has.items():
        if had.get(key) != term:
            yield ctx.put(term)
    for bucket, place in had.keys() - has.keys():
        yield ctx.delete(SearchTerm, bucket, place)


async def state(ctx: Context, contact: Contact, kind: Kind, evidence: Evidence) -> Contact:
    """Returns the contact after this statement and stages the evidence. A statement that is already recorded changes
    nothing."""
    if await ctx.get(Evidence, contact.contact_id, evidence.evidence_id):
        return contact
    before = contact.consent(evidence.channel)
    statement = Statement(
        at=evidence.at, how=evidence.how, evidence_id=evidence.evidence_id, purposes=evidence.purposes
    )
    after = stated(before, kind, statement)
    if kind is Kind.WITHDRAWN and after.opted_out_at is not None:
        if before.opted_out_at is None:
            after = _pending(after, (evidence.evidence_id,), contact.version + 1)
        elif before.awaiting:
            after = _pending(after, (*before.awaiting, evidence.evidence_id), before.awaiting_revision)
        else:
            # A repeated opt-out while one is in force: there is nothing to apply, so it is effective at once.
            evidence = evidence.model_copy(update={"effective_at": ctx.now})
    ctx.stage(ctx.insert(evidence))
    return contact.with_consent(evidence.channel, after)


def _pending(consent: Consent, awaiting: tuple[str, ...], revision: int) -> Consent:
    return consent.model_copy(update={"effective_at": None, "awaiting": awaiting, "awaiting_revision": revision})


def profile_said(before: Contact | None, after: Contact) -> list[Event]:
    """Returns ContactCreated for a new contact, ContactUpdated if a published field changed, else nothing."""
    if before is None:
        kind: type[ContactCreated] | type[ContactUpdated] = ContactCreated
    elif any(getattr(before, name) != getattr(after, name) for name in ("name", "phone", "email", "zone", "locale")):
        kind = ContactUpdated
    else:
        return []
    return [
        kind(contact_id=after.contact_id, revision=after.version, name=after.name, phone=after.phone, email=after.email)
    ]


def consent_said(before: Contact | None, after: Contact, evidence: Evidence, *, always: bool = False) -> list[Event]:
    """Returns ConsentChanged if the current consent differs from the previous one."""
    old = before.consent(evidence.channel) if before else Consent()
    new = after.consent(evidence.channel)
    stood, stands = ((each.opted_in, each.purposes, not each.opted_out_at) for each in (old, new))
    if not always and stood == stands:
        return []
    return [
        ConsentChanged(
            contact_id=after.contact_id,
            channel=evidence.channel,
            opted_in=new.opted_in,
            at=evidence.at,
            how=evidence.how,
            evidence_id=evidence.evidence_id,
        )
    ]


def permissions_said(before: Contact | None, after: Contact, also: Collection[Channel] = ()) -> list[Event]:
    """Returns PermissionChanged for each channel on which the permission changed (for a new contact: on which it has an
    address). An opt-out that no sender has acknowledged requests the acknowledgement again."""
    events: list[Event] = []
    for channel in Channel:
        standing = after.standing(channel)
        old = before and before.standing(channel).model_copy(update={"revision": standing.revision})
        changed = standing != old if before else standing.address is not None
        if changed or channel in also:
            events.append(
                PermissionChanged(
                    contact_id=after.contact_id,
                    channel=channel,
                    standing=standing,
                    acknowledge=bool(after.consent(channel).awaiting),
                )
            )
    return events


async def existing(ctx: Context, contact_id: str) -> Contact:
    """Returns the contact. Raises Problem CONTACT_NOT_FOUND, also for a deleted one."""
    contact = await ctx.get(Contact, contact_id)
    if contact is None or contact.deleted_at is not None:
        raise Problem(404, "CONTACT_NOT_FOUND", "There is no such contact")
    return contact
