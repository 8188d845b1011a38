"""The service's copy of permissions: by contact, by address, and as a list with pages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from libs.common.errors import Conflict
from libs.common.handle.context import Context
from libs.common.handle.copy import Copy
from libs.common.stable_hash import shard_for
from libs.common.store.item import Index, Item, Table
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.permission import Permission

#: The contacts of a channel are spread over this many index keys, to limit the write rate of each.
SHARDS = 16


class Person(Item):
    """One contact's permission on one channel, as last published."""

    TABLE: ClassVar[Table] = Table("person", key="id", indexes=(Index("by-shard", hash="shard", sort="id"),))

    id: str
    shard: str | None = None
    standing: Permission

    @staticmethod
    def id_of(contact_id: str, channel: str) -> str:
        return f"{contact_id}#{channel}"

    @classmethod
    def of(cls, standing: Permission) -> Person:
        shard = None if standing.deleted else f"{standing.channel}#{shard_for(standing.contact_id, SHARDS)}"
        return cls(id=cls.id_of(standing.contact_id, standing.channel), shard=shard, standing=standing)


class Address(Item):
    """The contacts that have an address. An address is moved from one contact to another by two events in any order, so
    two contacts may have it for a moment."""

    TABLE: ClassVar[Table] = Table("address", key="id")

    id: str
    contact_ids: tuple[str, ...]

    @staticmethod
    def id_of(channel: str, address: str) -> str:
        return f"{channel}#{address.lower()}"


people = Copy(
    Person,
    {PermissionChanged: lambda event, now: Person.of(event.standing)},
    revision=lambda row: row.standing.revision,
)


async def keep(event: PermissionChanged, ctx: Context) -> Permission | None:
    """Stores a permission if it is the newest; returns the previous one (None: there was none)."""
    new = event.standing
    copy = await people.get(ctx, Person.id_of(new.contact_id, new.channel))
    old = copy.standing if copy else None
    if old is not None and old.revision > new.revision:
        return old
    # Writes the addresses first: after a crash in between, the event is redelivered and finds the person row unchanged.
    before, after = (old.address if old else None), (None if new.deleted else new.address)
    if before and before != after:
        await _has(before, new, False, ctx)
    if after:
        await _has(after, new, True, ctx)
    await people.replace(copy, Person.of(new), ctx)
    return old


async def _has(address: str, standing: Permission, now: bool, ctx: Context) -> None:
    key = Address.id_of(standing.channel, address)
    contact = standing.contact_id
    if now:
        # Nearly every address is new: one insert without a previous read.
        written = await ctx.write(ctx.insert(Address(id=key, contact_ids=(contact,))))
        if written or written.row is None:
            return
        row = Address.from_row(written.row)
    else:
        found = await ctx.get(Address, key)
        if found is None:
            return
        row = found
    others = tuple(each for each in row.contact_ids if each != contact)
    wanted = (*others, contact) if now else others
    if set(wanted) != set(row.contact_ids) and not await ctx.write(
        ctx.replace(row.model_copy(update={"contact_ids": wanted}))
    ):
        raise Conflict("the address changed hands meanwhile")


async def by_contacts(contact_ids: Sequence[str], channel: str, ctx: Context) -> list[Permission | None]:
    """Returns the permissions, in the same order."""
    found = await asyncio.gather(*(ctx.get(Person, Person.id_of(each, channel)) for each in contact_ids))
    return [person.standing if person else None for person in found]


async def by_addresses(addresses: Sequence[str], channel: str, ctx: Context) -> list[Permission | None]:
    """Returns the contact who has each address now, in the same order."""
    found = await asyncio.gather(*(ctx.get(Address, Address.id_of(channel, each)) for each in addresses))
    return await asyncio.gather(
        *(_holder(row, address, channel, ctx) for row, address in zip(found, addresses, strict=True))
    )


async def _holder(row: Address | None, address: str, channel: str, ctx: Context) -> Permission | None:
    if row is None:
        return None
    for standing in reversed(await by_contacts(row.contact_ids, channel, ctx)):
        if standing and not standing.deleted and standing.channel.traits.same(standing.address or "", address):
            return standing
    return None


async def walk(channel: str, cursor: str | None, limit: int, ctx: Context) -> tuple[list[Permission], str | None]:
    """Returns a page of all contacts of a channel, in a stable order."""
    shard, _, inner = (cursor or "0:").partition(":")
    page = await ctx.query(Person, f"{channel}#{shard}", index="by-shard", limit=limit, cursor=inner or None)
    standings = [person.standing for person in page.items]
    if page.cursor:
        return standings, f"{shard}:{page.cursor}"
    last = int(shard) + 1 >= SHARDS
    return standings, None if last else f"{int(shard) + 1}:"
