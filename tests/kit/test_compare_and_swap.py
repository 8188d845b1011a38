"""Writers of one row, and none is lost."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.errors import Conflict
from libs.common.handle import compare_and_swap as module
from libs.common.handle.compare_and_swap import compare_and_swap
from libs.common.handle.context import Context
from libs.common.store.ops import When, Write
from libs.common.testing.world import World
from tests.kit import toy
from tests.kit.toy import Greeting


@pytest.fixture
def ctx() -> Context:
    return World([toy.service]).runtime.context(toy.service)


async def _add(ctx: Context) -> int:
    def added(row: Greeting | None) -> tuple[Write, int]:
        new = (row or Greeting(name="ann")).model_copy(update={"count": row.count + 1 if row else 1})
        return ctx.upsert(new, row), new.count

    return await compare_and_swap(ctx, Greeting, ("ann",), added)


async def test_of_writers_at_once_each_changes_the_row_that_it_saw(ctx: Context) -> None:
    assert sorted(await asyncio.gather(*(_add(ctx) for _ in range(8)))) == list(range(1, 9))


async def test_a_row_that_is_known_is_not_read_and_a_refusal_shows_what_stands(ctx: Context) -> None:
    await _add(ctx)
    seen: list[int] = []

    def added(row: Greeting | None) -> tuple[Write, None]:
        assert row is not None
        seen.append(row.count)
        return ctx.replace(row.model_copy(update={"count": 10})), None

    await compare_and_swap(ctx, Greeting, ("ann",), added, row=Greeting(name="ann", count=7, version=3))
    assert seen == [7, 1]


async def test_it_ends_where_others_are_always_quicker(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await _add(ctx)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0)
    tries: list[Greeting | None] = []

    def never(row: Greeting | None) -> tuple[Write, None]:
        tries.append(row)
        return ctx.update(Greeting, "ann", set={"count": 0}, when=(When("count", "=", -1),)), None

    with pytest.raises(Conflict, match="Greeting"):
        await compare_and_swap(ctx, Greeting, ("ann",), never)
    assert len(tries) == module.MAX_TRIES
