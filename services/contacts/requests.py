"""Requests of ``contacts``: create, update, delete, set consent. Each stages its writes and returns the events that
follow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field

from libs.common.declare.wire import TrimmedBody
from libs.common.errors import Problem, invalid, invalid_fields
from libs.common.handle.context import Context, Done
from libs.messaging.addresses import is_email, to_e164
from libs.messaging.channels import Channel
from libs.messaging.events.contacts import ContactDeleted
from libs.messaging.vocabulary import Purpose
from services.contacts.changes import (
    consent_said,
    evidence_id,
    existing,
    holders,
    new_contact,
    permissions_said,
    profile_said,
    save,
    state,
)
from services.contacts.consents import Consent, Kind, moment, moved
from services.contacts.model import MAX_NAME_LENGTH, Contact, Evidence

_TICK, _SECOND = timedelta(milliseconds=1), timedelta(seconds=1)
#: How much later an opt-in (True) or opt-out (False) must be than an earlier statement to override it.
LATER_THAN = {
    True: {Kind.GIVEN: _TICK, Kind.WITHDRAWN: _SECOND, Kind.MARKETING_STOPPED: _SECOND},
    False: {Kind.WITHDRAWN: _TICK, Kind.GIVEN: timedelta(), Kind.RESTARTED: timedelta()},
}
#: Members of a request that a contact stores under another name.
_KEPT_AS = {"addresses": "provider_user_ids"}
Address = Annotated[str, Field(max_length=320)]
Region = Annotated[str, Field(pattern=r"^[A-Za-z]{2}$")]


class _Profile(TrimmedBody):
    name: str | None = Field(default=None, max_length=MAX_NAME_LENGTH)
    #: With a leading ``+``, or in the national format of ``default_region``.
    phone: str | None = Field(default=None, max_length=40)
    email: str | None = Field(default=None, max_length=320)
    #: By channel, for channels that address a recipient by the provider's id; null clears one.
    addresses: dict[Channel, Address | None] = Field(default_factory=dict)
    locale: str | None = Field(default=None, pattern=r"^[a-z]{2,3}([_-][A-Za-z]{2,4})?$")
    #: IANA time zone.
    zone: str | None = Field(default=None, max_length=64)
    default_region: Region | None = None


class CreateContact(_Profile):
    """A new contact, without any opt-in."""


class UpdateContact(_Profile):
    """Changes the fields that are given; null clears a field. With ``version``: refused if another update changed the
    contact meanwhile."""

    version: int | None = None


class SetConsent(TrimmedBody):
    """An opt-in or opt-out, with its source and the words that were shown or said; and the channel's allow-list
    flag."""

    opted_in: bool | None = None
    #: The purposes that an opt-in covers; empty: every purpose.
    purposes: list[Purpose] = Field(default_factory=list, max_length=3)
    how: str = Field(default="api", min_length=1, max_length=100)
    words: str | None = Field(default=None, max_length=4000)
    allow_listed: bool | None = None


async def create_contact(body: CreateContact, ctx: Context) -> Done[Contact]:
    """Creates a contact. Raises Problem: VALIDATION_FAILED names the fields, CONTACT_EXISTS names the holder of the
    address."""
    given = _checked(body)
    if not any(given.get(name) for name in ("name", "phone", "email", "provider_user_ids")):
        raise invalid("phone", "Give a name, a phone number, an e-mail address or one of addresses.")
    contact = new_contact(ctx).model_copy(update=given)
    await _unclaimed(ctx, contact)
    after = save(ctx, None, contact)
    return Done(after, (*profile_said(None, after), *permissions_said(None, after)))


async def update_contact(contact_id: str, body: UpdateContact, ctx: Context) -> Done[Contact]:
    """Updates a contact. Raises Problem: as for creation, CONTACT_NOT_FOUND, VERSION_CONFLICT."""
    before = await existing(ctx, contact_id)
    if body.version is not None and body.version != before.version:
        raise Problem(
            409,
            "VERSION_CONFLICT",
            "Somebody else changed this contact",
            "Read it again and repeat your change.",
            version=before.version,
        )
    contact = _moved(before, before.model_copy(update=_checked(body, before)))
    if contact == before:
        return Done(before)
    await _unclaimed(ctx, contact)
    after = save(ctx, before, contact)
    # The names of the changed fields only: their values are personal data, which is deleted with the contact.
    kept = {name: _KEPT_AS.get(name, name) for name in _Profile.model_fields}
    names = sorted(name for name, at in kept.items() if getattr(before, at, None) != getattr(after, at, None))
    events = (*profile_said(before, after), *permissions_said(before, after))
    return Done(after, events, after={"changed": names})


async def delete_contact(contact_id: str, ctx: Context) -> Done[None]:
    """Marks the row as deleted and frees its addresses; nothing may be sent to it. Raises CONTACT_NOT_FOUND."""
    before = await existing(ctx, contact_id)
    after = save(ctx, before, before.model_copy(update={"deleted_at": ctx.now, "listed": None}))
    deleted = ContactDeleted(contact_id=contact_id, revision=after.version)
    return Done(None, (deleted, *permissions_said(before, after, also=tuple(Channel))))


async def set_consent(contact_id: str, channel: Channel, body: SetConsent, ctx: Context) -> Done[Contact]:
    """Records the evidence; an opt-in after an opt-out clears it. Raises Problem."""
    before = await existing(ctx, contact_id)
    if body.opted_in is None and body.allow_listed is None:
        raise invalid("optedIn", "Give optedIn, allowListed or both.")
    if Purpose.COMPLIANCE in body.purposes:
        raise invalid("purposes", "compliance needs no consent; use service or marketing.")
    contact, evidence = before, None
    if body.allow_listed is not None:
        consent = contact.consent(channel).model_copy(update={"allow_listed": body.allow_listed})
        contact = contact.with_consent(channel, consent)
    if body.opted_in is not None:
        evidence = _evidence(ctx, contact, channel, body, body.opted_in)
        contact = await state(ctx, contact, Kind.GIVEN if body.opted_in else Kind.WITHDRAWN, evidence)
    after = save(ctx, before, contact)
    consents = consent_said(before, after, evidence, always=True) if evidence else []
    events = (*consents, *permissions_said(before, after, also=(channel,)))
    return Done(after, events, _flags(before.consent(channel)), _flags(after.consent(channel)))


def _flags(consent: Consent) -> dict[str, Any]:
    return {"optedIn": consent.opted_in, "allowListed": consent.allow_listed}


def _evidence(ctx: Context, contact: Contact, channel: Channel, body: SetConsent, opted_in: bool) -> Evidence:
    # The request was made with the recorded statements in view, so it counts as later than those, whatever the clocks
    # of providers. Only by the minimum: a STOP that is written at this moment must not count as older.
    heard = contact.consent(channel).heard
    later = [heard[kind].at + gap for kind, gap in LATER_THAN[opted_in].items() if kind in heard]
    at = max([moment(ctx.now), *later])
    return Evidence(
        contact_id=contact.contact_id,
        evidence_id=evidence_id(at, ctx.cause.id if ctx.cause else "", channel),
        channel=channel,
        opted_in=opted_in,
        purposes=tuple(dict.fromkeys(body.purposes)) if opted_in else (),
        who=ctx.actor,
        how=body.how,
        words=body.words,
        at=at,
        heard_at=ctx.now,
    )


async def _unclaimed(ctx: Context, contact: Contact) -> None:
    taken = {
        claim: holder
        for claim, holder in (await holders(ctx, sorted(contact.claims()))).items()
        if holder != contact.contact_id
    }
    if taken:
        claim, holder = next(iter(taken.items()))
        held_as = claim.partition("#")[0]
        field = held_as if held_as in _Profile.model_fields else f"addresses.{held_as}"
        raise Problem(
            409,
            "CONTACT_EXISTS",
            "Another contact has this address",
            "Update that contact, or delete it first.",
            [{"field": field, "detail": "It belongs to another contact."}],
            contactId=holder,
        )


def _moved(before: Contact, after: Contact) -> Contact:
    """Removes what belonged to a replaced address (service window, suppression, ``wroteIn``) and keeps the person's
    decisions."""
    for channel in after.consents:
        used = next((kind for kind in channel.traits.addresses if before.held(kind, channel)), None)
        if used is not None and before.held(used, channel) != after.held(used, channel):
            after = after.with_consent(channel, moved(after.consent(channel)))
    return after


def _checked(body: _Profile, before: Contact | None = None) -> dict[str, Any]:
    """Returns the given fields in stored form. Raises Problem that names every invalid field."""
    given: dict[str, Any] = body.model_dump(exclude={"default_region", "version", "addresses"}, exclude_unset=True)
    errors = []
    given = {name: value or None for name, value in given.items()}
    if phone := given.get("phone"):
        try:
            given["phone"] = to_e164(phone, body.default_region)
        except ValueError as error:
            errors.append({"field": "phone", "detail": str(error)})
    if (email := given.get("email")) and not is_email(email):
        errors.append({"field": "email", "detail": "Write an e-mail address, such as ana@example.com."})
    if (zone := given.get("zone")) and not _is_zone(zone):
        errors.append({"field": "zone", "detail": "Write an IANA time zone, such as Europe/Berlin."})
    if body.addresses:
        ids, wrong = _provider_ids(body.addresses)
        known = {**(before.provider_user_ids if before else {}), **ids}
        given["provider_user_ids"] = {channel: address for channel, address in known.items() if address}
        errors += wrong
    if errors:
        raise invalid_fields(errors)
    return given


def _provider_ids(addresses: Mapping[Channel, str | None]) -> tuple[dict[Channel, str | None], list[dict[str, str]]]:
    """Returns the ids in stored form, and the errors of the invalid ones."""
    ids: dict[Channel, str | None] = {}
    errors = []
    for channel, address in addresses.items():
        kind = channel.traits.provider_id
        try:
            if address and kind is None:
                raise ValueError(f"{channel} writes to the contact's {channel.traits.addresses[0].name}; give that.")
            ids[channel] = kind.normalise(address, None) if address and kind else None
        except ValueError as error:
            errors.append({"field": f"addresses.{channel}", "detail": str(error)})
    return ids, errors


def _is_zone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name))
    except (ValueError, OSError, KeyError):
        return False
