"""Who an inbound event is from: the contact found by address or provider id, or a new one."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.errors import Poison
from libs.common.handle.context import Context
from libs.messaging.vocabulary import Channel
from services.contacts.changes import held_by, holders, new_contact
from services.contacts.model import AddressClaim, Contact, is_email, is_phone


@dataclass(frozen=True)
class Sender:
    """By what an event tells somebody: a number, an e-mail address, the provider's own id of the user."""

    channel: Channel
    phone: str | None = None
    email: str | None = None
    user_id: str | None = None

    @staticmethod
    def of(channel: Channel, address: str | None, user_id: str | None = None) -> Sender:
        """Raises Poison when nobody is named. What is no address (a short code) still tells one sender from another."""
        if address and channel is Channel.EMAIL and is_email(address):
            return Sender(channel, email=address, user_id=user_id)
        if address and channel is not Channel.EMAIL and is_phone(address):
            return Sender(channel, phone=address, user_id=user_id)
        if not address and not user_id:
            raise Poison("the event names nobody")
        return Sender(channel, user_id=user_id or address)

    def claims(self) -> list[str]:
        """The surest first."""
        named = (("phone", self.phone), ("email", self.email), (str(self.channel), self.user_id))
        return [AddressClaim.id_of(kind, address) for kind, address in named if address]


async def find_contact(ctx: Context, sender: Sender) -> tuple[Contact | None, Contact]:
    """The contact as it stands (None: not known yet), and with what this event adds to who it is."""
    taken = await holders(ctx, sender.claims())
    before = await held_by(ctx, next(iter(taken.values()))) if taken else None
    contact = before or new_contact(ctx)

    def free(kind: str, address: str) -> bool:
        return taken.get(AddressClaim.id_of(kind, address), contact.contact_id) == contact.contact_id

    added: dict[str, object] = {}
    if sender.phone and not contact.phone and free("phone", sender.phone):
        added["phone"] = sender.phone
    if sender.email and not contact.email and free("email", sender.email):
        added["email"] = sender.email
    if sender.user_id and free(sender.channel, sender.user_id):
        added["provider_user_ids"] = {**contact.provider_user_ids, sender.channel: sender.user_id}
    return before, contact.model_copy(update=added)
