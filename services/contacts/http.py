"""HTTP routes of ``/api/contacts``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

from libs.common.aws.auth import Role
from libs.common.clock import Timestamp
from libs.common.declare.wire import PageView, View
from libs.common.handle.context import Context, Done, Page
from libs.common.hosts.http.routes import Api, Cursor, Limit
from libs.messaging.channels import Channel
from libs.messaging.vocabulary import Purpose
from services.contacts import changes, requests, search, suppressions
from services.contacts.model import Contact, Evidence
from services.contacts.requests import CreateContact, SetConsent, UpdateContact

router = Api()


class ConsentView(View):
    """The current consent on one channel. ``effective_at``: when the senders had applied an opt-out."""

    opted_in: bool = False
    opted_out_at: Timestamp | None = None
    effective_at: Timestamp | None = None
    #: What the opt-in covers; empty: every purpose.
    purposes: list[Purpose] = Field(default=[])
    at: Timestamp | None = None
    how: str | None = None
    evidence_id: str | None = None
    allow_listed: bool = False
    #: Why nothing may be sent to the address (a hard bounce, a complaint, a provider's list), and since when.
    suppressed: str | None = None
    suppressed_at: Timestamp | None = None
    last_inbound_at: Timestamp | None = None


class ContactView(View):
    contact_id: str
    name: str | None = None
    phone: str | None = None
    email: str | None = None
    locale: str | None = None
    zone: str | None = None
    consents: dict[Channel, ConsentView]
    provider_user_ids: dict[Channel, str]
    last_inbound_message_at: Timestamp | None = None
    #: Send it back with an update: the update is refused if another one changed the contact meanwhile.
    version: int
    created_at: Timestamp
    updated_at: Timestamp

    @staticmethod
    def of(contact: Contact) -> ContactView:
        """Includes every channel, so that a missing channel cannot be read as a consent."""
        facts = contact.model_dump(exclude={"consents"})
        return ContactView(**facts, consents=_consents(contact))


class ContactPage(PageView[ContactView]):
    pass


class EvidenceView(View):
    evidence_id: str
    channel: Channel
    opted_in: bool
    purposes: list[Purpose]
    who: str
    how: str
    words: str | None = None
    message_id: str | None = None
    at: Timestamp
    heard_at: Timestamp
    effective_at: Timestamp | None = None


class ConsentHistory(View):
    """The current consents and their evidence, newest first."""

    contact_id: str
    consents: dict[Channel, ConsentView]
    evidence: list[EvidenceView]
    cursor: str | None = None


@router.write("POST", "/api/contacts", role=Role.OPERATOR, status=201, about="contact_id", max_bytes=64 * 1024)
async def create_contact(body: CreateContact, ctx: Context) -> Done[ContactView]:
    """Creates a contact, without any opt-in."""
    return _seen(await requests.create_contact(body, ctx))


@router.read("GET", "/api/contacts", role=Role.VIEWER)
async def list_contacts(ctx: Context, limit: Limit = 50, cursor: Cursor = None) -> ContactPage:
    """Lists all contacts, newest first."""
    return _page(await search.list_contacts(limit, cursor, ctx))


@router.read("GET", "/api/contacts/search", role=Role.VIEWER)
async def search_contacts(ctx: Context, q: str, limit: Limit = 50, cursor: Cursor = None) -> ContactPage:
    """Searches contacts by the beginning of name, number or e-mail address."""
    return _page(await search.search_contacts(q, limit, cursor, ctx))


@router.read("GET", "/api/contacts/{contact_id}", role=Role.VIEWER)
async def read_contact(contact_id: str, ctx: Context) -> ContactView:
    """Returns one contact."""
    return ContactView.of(await changes.existing(ctx, contact_id))


@router.write("PUT", "/api/contacts/{contact_id}", role=Role.OPERATOR, max_bytes=64 * 1024)
async def update_contact(contact_id: str, body: UpdateContact, ctx: Context) -> Done[ContactView]:
    """Changes the fields that are given; null clears a field."""
    return _seen(await requests.update_contact(contact_id, body, ctx))


@router.write("DELETE", "/api/contacts/{contact_id}", role=Role.OPERATOR, status=204)
async def delete_contact(contact_id: str, ctx: Context) -> Done[None]:
    """Deletes a contact; its addresses become available again."""
    return await requests.delete_contact(contact_id, ctx)


@router.write("PUT", "/api/contacts/{contact_id}/consents/{channel}", role=Role.OPERATOR, max_bytes=64 * 1024)
async def set_consent(contact_id: str, channel: Channel, body: SetConsent, ctx: Context) -> Done[ContactView]:
    """Records an opt-in or opt-out with its evidence."""
    return _seen(await requests.set_consent(contact_id, channel, body, ctx))


@router.write("DELETE", "/api/contacts/{contact_id}/suppressions/{channel}", role=Role.ADMIN)
async def lift_suppression(
    contact_id: str, channel: Channel, reason: Annotated[str, Query(min_length=1, max_length=500)], ctx: Context
) -> Done[ContactView]:
    """Lifts the suppression of an address; the reason is recorded."""
    return _seen(await suppressions.lift_suppression(contact_id, channel, reason, ctx))


@router.read("GET", "/api/contacts/{contact_id}/consents", role=Role.VIEWER)
async def read_consents(contact_id: str, ctx: Context, limit: Limit = 50, cursor: Cursor = None) -> ConsentHistory:
    """Returns the consents of a contact and their evidence."""
    contact = await changes.existing(ctx, contact_id)
    page = await ctx.query(Evidence, contact_id, limit=limit, cursor=cursor, newest_first=True)
    return ConsentHistory(
        contact_id=contact_id,
        consents=_consents(contact),
        evidence=[EvidenceView.model_validate(row) for row in page.items],
        cursor=page.cursor,
    )


def _consents(contact: Contact) -> dict[Channel, ConsentView]:
    return {channel: ConsentView.model_validate(contact.consent(channel)) for channel in Channel}


def _seen(done: Done[Contact]) -> Done[ContactView]:
    return done.shown(ContactView.of(done.value))


def _page(page: Page[Contact]) -> ContactPage:
    return ContactPage(items=[ContactView.of(contact) for contact in page.items], cursor=page.cursor)
