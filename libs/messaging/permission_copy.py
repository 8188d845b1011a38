"""A service's own copy of permissions: the service owns :class:`PermissionCopy` and hears ``permissions``."""

from __future__ import annotations

from typing import ClassVar

from libs.common.handle.context import Context
from libs.common.handle.copy import Copy
from libs.common.store.item import Item, Table
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.permission import Permission


class PermissionCopy(Item):
    """``contactId#channel`` -> the newest :class:`Permission` received."""

    TABLE: ClassVar[Table] = Table("permission", key="id")

    id: str
    address: str | None = None
    standing: Permission

    @staticmethod
    def id_of(contact_id: str, channel: str) -> str:
        return f"{contact_id}#{channel}"

    @classmethod
    def of(cls, permission: Permission) -> PermissionCopy:
        key = cls.id_of(permission.contact_id, permission.channel)
        return cls(id=key, address=permission.address, standing=permission)


permissions = Copy(
    PermissionCopy,
    {PermissionChanged: lambda event, now: PermissionCopy.of(event.standing)},
    revision=lambda row: row.standing.revision,
)


async def permission_of(contact_id: str, channel: str, ctx: Context) -> Permission | None:
    """Returns the copy, read without a cache: a STOP must apply at once."""
    copy = await permissions.get(ctx, PermissionCopy.id_of(contact_id, channel))
    return copy.standing if copy else None
