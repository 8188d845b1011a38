"""Items of ``contacts``: contacts, address claims, evidence of consents, search terms."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.store.item import Index, Item, Table
from libs.messaging.addresses import AddressKind
from libs.messaging.channels import Channel
from libs.messaging.permission import Permission
from libs.messaging.vocabulary import Purpose
from services.contacts.consents import Consent
from services.contacts.search_terms import MIN_TERM_LENGTH, terms

#: The single index key under which all contacts are listed; accepts 1,000 new contacts per second.
LISTED = "all"
MAX_NAME_LENGTH = 200


class Contact(Item):
    """A contact. ``version`` increases with every change and is the revision in all its events."""

    TABLE: ClassVar[Table] = Table(
        "contact", key="contactId", indexes=(Index("by-creation", hash="listed", sort="createdAt"),)
    )

    contact_id: str
    name: str | None = None
    #: E.164.
    phone: str | None = None
    email: str | None = None
    locale: str | None = None
    #: IANA name, such as ``Europe/Berlin``.
    zone: str | None = None
    consents: dict[Channel, Consent] = Field(default_factory=dict)
    last_inbound_message_at: Timestamp | None = None
    #: By channel: the provider's own id of the user, for channels where an address may be missing.
    provider_user_ids: dict[Channel, str] = Field(default_factory=dict)
    created_at: Timestamp
    updated_at: Timestamp
    deleted_at: Timestamp | None = None
    #: Removed on deletion, so that the list has no deleted contacts.
    listed: str | None = LISTED

    def consent(self, channel: Channel) -> Consent:
        return self.consents.get(channel) or Consent()

    def with_consent(self, channel: Channel, consent: Consent) -> Contact:
        return self.model_copy(update={"consents": {**self.consents, channel: consent}})

    def address(self, channel: Channel) -> str | None:
        """Returns the address for the channel: the first of its address kinds that the contact has."""
        held = (self.held(kind, channel) for kind in channel.traits.addresses)
        return next((address for address in held if address), None)

    def held(self, kind: AddressKind, channel: Channel) -> str | None:
        """Returns the contact's address of this kind."""
        return getattr(self, kind.name) if kind.shared else self.provider_user_ids.get(channel)

    def standing(self, channel: Channel) -> Permission:
        """Returns the permission: all facts that a sender needs."""
        consent = self.consent(channel)
        return Permission(
            contact_id=self.contact_id,
            channel=channel,
            revision=self.version,
            address=self.address(channel),
            name=self.name,
            opted_in=consent.opted_in,
            opted_out_at=consent.opted_out_at,
            purposes=consent.purposes,
            consent_id=consent.evidence_id,
            suppressed=consent.suppressed,
            last_inbound_at=consent.last_inbound_at,
            zone=self.zone,
            locale=self.locale,
            deleted=self.deleted_at is not None,
        )

    def claims(self) -> set[str]:
        """Returns the claims on addresses that are unique to this contact; none after deletion."""
        if self.deleted_at is not None:
            return set()
        held = {AddressClaim.id_of(str(channel), user) for channel, user in self.provider_user_ids.items()}
        if self.phone:
            held.add(AddressClaim.id_of("phone", self.phone))
        if self.email:
            held.add(AddressClaim.id_of("email", self.email))
        return held

    def search_terms(self) -> list[SearchTerm]:
        if self.deleted_at is not None:
            return []
        found = sorted(terms(self.name, self.phone, self.email))
        return [
            SearchTerm(
                bucket=SearchTerm.bucket_of(kind, term),
                place=f"{term}#{self.contact_id}",
                contact_id=self.contact_id,
                term=term,
                siblings=[other for same, other in found if same == kind],
            )
            for kind, term in found
        ]


class AddressClaim(Item):
    """The contact that holds an address; inserted in the transaction that assigns it, so that one address has one
    contact."""

    TABLE: ClassVar[Table] = Table("address-claim", key="id")

    id: str
    contact_id: str

    @staticmethod
    def id_of(kind: str, address: str) -> str:
        """``kind`` is ``phone``, ``email`` or the channel whose provider gave the id."""
        return f"{kind}#{address.lower() if kind == 'email' else address}"


class Evidence(Item):
    """The evidence of one consent statement, verbatim. Rows are only added; ``effective_at`` alone is set later,
    once."""

    TABLE: ClassVar[Table] = Table("evidence", key="contactId", sort="evidenceId")

    contact_id: str
    #: ``<time>#<id>``: sorts by time.
    evidence_id: str
    channel: Channel
    opted_in: bool
    purposes: tuple[Purpose, ...] = ()
    #: ``customer``, or the user who recorded it.
    who: str
    how: str
    #: The text that the contact wrote or was shown.
    words: str | None = None
    message_id: str | None = None
    #: When it was stated, and when we received it.
    at: Timestamp
    heard_at: Timestamp
    #: When an opt-out came into force: the sender acknowledged it.
    effective_at: Timestamp | None = None


class SearchTerm(Item):
    """``term#contactId`` under the kind and the first characters of the term. ``siblings`` are all terms of that kind
    of the contact, so that a query of several words is answered from these rows alone."""

    TABLE: ClassVar[Table] = Table("search-term", key="bucket", sort="place")

    bucket: str
    place: str
    contact_id: str
    term: str
    siblings: list[str] = Field(default_factory=list)

    @staticmethod
    def bucket_of(kind: str, term: str) -> str:
        return f"{kind}#{term[:MIN_TERM_LENGTH]}"
