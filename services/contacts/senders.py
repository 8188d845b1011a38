"""Finds the contact that an inbound event is from, by address or provider id, or creates one."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.errors import Poison
from libs.common.handle.context import Context
from libs.messaging.addresses import AddressKind
from libs.messaging.channels import Channel
from services.contacts.changes import held_by, holders, new_contact
from services.contacts.model import AddressClaim, Contact


@dataclass(frozen=True)
class Sender:
    """The sender in an event: an address of a kind that channels share, the provider's own id of the user, or both."""

    channel: Channel
    kind: AddressKind | None = None
    address: str | None = None
    user_id: str | None = None

    @staticmethod
    def of(channel: Channel, address: str | None, user_id: str | None = None) -> Sender:
        """Raises Poison if the event has no sender. A value that is no valid address (a short code) is used as the user
        id."""
        if not address and not user_id:
            raise Poison("the event names nobody")
        kinds = (kind for kind in channel.traits.addresses if kind.shared)
        kind = next((kind for kind in kinds if address and kind.valid(address)), None)
        if kind is None:
            return Sender(channel, user_id=user_id or address)
        return Sender(channel, kind, address, user_id)

    def claims(self) -> list[str]:
        """The claims to look up, the most reliable first."""
        named = ((self.kind.name if self.kind else "", self.address), (str(self.channel), self.user_id))
        return [AddressClaim.id_of(kind, address) for kind, address in named if address]


async def find_contact(ctx: Context, sender: Sender) -> tuple[Contact | None, Contact]:
    """Returns the stored contact (None: unknown), and the contact with the address or id that this event adds."""
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
