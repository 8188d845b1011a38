"""A minimal service for the kit's tests: it counts greetings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar

from pydantic import BaseModel, Field

from libs.common.aws.auth import Role
from libs.common.declare.event import Event
from libs.common.declare.service import Every, Feed, Service, TickAction, on
from libs.common.errors import Conflict, Malformed, Poison, Problem, RetryLater
from libs.common.handle.context import Context, Done
from libs.common.hosts.http.routes import Api
from libs.common.store.item import Index, Item, Table


class Greeted(Event):
    TYPE = "toy.greeted.v1"
    ABOUT = "name"

    name: str
    channel: str = "whatsapp"
    trouble: str = ""


class Counted(Event):
    TYPE = "toy.counted.v1"
    ABOUT = "name"

    name: str
    count: int


class Greeting(Item):
    TABLE: ClassVar[Table] = Table("greeting", key="name", indexes=(Index("by-mood", hash="mood", sort="name"),))

    name: str
    count: int = 0
    mood: str | None = None


class Hello(BaseModel):
    name: str = Field(min_length=1, max_length=20)
    mood: str | None = None


api = Api()


@api.write("POST", "/api/toys", role=Role.OPERATOR, status=201)
async def say_hello(body: Hello, ctx: Context) -> Done[Greeting]:
    """Greet somebody."""
    if body.name == "nobody":
        raise Problem(
            422, "NOBODY", "Nobody cannot be greeted", "Name somebody.", [{"field": "name", "detail": "nobody"}]
        )
    known = await ctx.get(Greeting, body.name)
    item = Greeting(name=body.name, mood=body.mood, count=1)
    if known is None:
        ctx.stage(ctx.insert(item))
    else:
        item = known.model_copy(update={"count": known.count + 1})
        ctx.stage(ctx.replace(item))
    return Done(item, (Counted(name=item.name, count=item.count),))


@api.read("GET", "/api/toys/{name}", role=Role.VIEWER)
async def read_toy(name: str, ctx: Context) -> Greeting:
    """Who was greeted how often."""
    found = await ctx.get(Greeting, name)
    if found is None:
        raise Problem(404, "NOT_FOUND", "Nobody of that name was greeted")
    return found


async def count(event: Greeted, ctx: Context) -> list[Event]:
    """By ledger: incrementing a counter is not idempotent."""
    if event.trouble == "later":
        raise RetryLater(ctx.now.replace(year=2030), "not this year")
    if event.trouble == "poison":
        raise Poison("never")
    if event.trouble == "broken":
        raise RuntimeError("call +12025550123 or write to x@example.com")
    item = await ctx.get(Greeting, event.name)
    if event.trouble == "conflict" and item is not None and item.count == 1:
        raise Conflict("again")
    if item is None:
        item = Greeting(name=event.name, count=1)
        ctx.stage(ctx.insert(item))
    else:
        item.count += 1
        ctx.stage(ctx.replace(item))
    return [Counted(name=event.name, count=item.count)]


async def cheer_up(ctx: Context) -> AsyncIterator[TickAction]:
    """Everybody who is sad is made happy, once."""
    page = await ctx.query(Greeting, "sad", index="by-mood")
    for item in page.items:
        happy = ctx.replace(item.model_copy(update={"mood": "happy"}))
        yield TickAction(f"{item.name}#{item.version}", (happy,), (Counted(name=item.name, count=item.count),))


def parse(body: str) -> list[tuple[str, Event]]:
    if not body.startswith("hi "):
        raise Malformed("a greeting starts with hi")
    return [(body, Greeted(name=body[3:]))]


service = Service(
    "toy",
    owns=[Greeting],
    hears=[on(Greeted, count, channel="whatsapp", ledger=True)],
    says=[Greeted, Counted],
    serves=api,
    every=[Every(60, cheer_up)],
    feeds=[Feed("toy", parse, ("toys.example.com",))],
)
