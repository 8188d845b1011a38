"""A local copy keeps the newest of each fact, whatever the order in which events come, and its reads are cached for seconds."""

from typing import ClassVar

from libs.common.declare.event import Event
from libs.common.declare.service import Service
from libs.common.handle.context import Context
from libs.common.handle.copy import Copy
from libs.common.store.item import Item, Table
from libs.common.testing.world import World


class Priced(Event):
    TYPE = "toy.priced.v1"
    ABOUT = "name"

    name: str
    price: int
    revision: int


class Withdrawn(Event):
    TYPE = "toy.withdrawn.v1"
    ABOUT = "name"

    name: str


class PriceCopy(Item):
    TABLE: ClassVar[Table] = Table("price-copy", key="name")

    name: str
    price: int
    revision: int


prices = Copy(
    PriceCopy,
    {Priced: lambda event, now: PriceCopy(name=event.name, price=event.price, revision=event.revision)},
    revision=lambda row: row.revision,
    gone={Withdrawn: lambda event: event.name},
    cache_seconds=2,
)
service = Service("shop", owns=[PriceCopy], hears=prices.hears(channel="toys", lane="copies"))


def a_context(world: World, fresh: bool = False) -> Context:
    return world.runtime.context(service, fresh=fresh)


async def test_the_newest_revision_stands_whatever_comes_when() -> None:
    async with World([service]) as world:
        ctx = a_context(world)
        for revision, changes in ((2, True), (1, False), (2, False), (3, True)):
            event = Priced(name="ball", price=revision * 10, revision=revision)
            assert await prices.keep(event, ctx) is changes
        found = await prices.get(a_context(world), "ball")
        assert found is not None
        assert (found.price, found.revision) == (30, 3)


async def test_what_is_gone_is_gone() -> None:
    async with World([service]) as world:
        ctx = a_context(world)
        await prices.keep(Priced(name="ball", price=1, revision=1), ctx)
        assert await prices.get(ctx, "ball") is not None
        for _ in range(2):
            await prices.keep(Withdrawn(name="ball"), ctx)
        assert await prices.get(ctx, "ball") is None


async def test_a_read_is_cached_for_its_seconds_unless_it_must_be_fresh() -> None:
    async with World([service]) as world:
        ctx = a_context(world)
        assert await prices.get(ctx, "ball") is None
        # As another process would write it, of which this one hears nothing.
        await ctx.write(ctx.put(PriceCopy(name="ball", price=1, revision=1)))
        assert await prices.get(a_context(world), "ball") is None
        assert await prices.get(a_context(world, fresh=True), "ball") is not None
        await ctx.write(ctx.put(PriceCopy(name="ball", price=2, revision=2)))
        world.clock.advance(2)
        found = await prices.get(a_context(world), "ball")
        assert found is not None
        assert found.price == 2


def test_it_says_what_it_hears_and_under_which_name() -> None:
    heard = prices.hears(channel="toys", lane="copies")
    assert [each.event for each in heard] == [Priced, Withdrawn]
    assert {(each.lane, each.where["channel"]) for each in heard} == {("copies", ("toys",))}
    assert prices.handler.__name__ == "keep_price_copy"  # type: ignore[attr-defined]
