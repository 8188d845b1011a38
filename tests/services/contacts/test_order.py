"""Whatever order and number they arrive in, the same events leave the same standing."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.declare.event import Event
from libs.common.testing.world import World
from libs.messaging.permission import Permission
from services.contacts.service import service
from tests.services.contacts.conftest import Town

WORDS = ["STOP", "START", "hello", "stop marketing", "resume marketing", "stop all", "resume all"]


def _event(town: Town, n: int, word: str, second: int) -> Event:
    verb, _, scope = word.partition(" ")
    if scope:
        return town.preference(verb == "resume", scope, after=second)
    return town.message(word, after=second, n=n)


async def _final(story: list[tuple[str, int]], order: list[int]) -> Permission:
    async with World([service]) as world:
        town = Town(world)
        for n in order:
            await world.hear(_event(town, n, *story[n]), key=f"event-{n}")
        return town.standing().model_copy(update={"revision": 0, "contact_id": ""})


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_order_and_number_of_events_do_not_matter(data: st.DataObject) -> None:
    story = data.draw(
        st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 4)), min_size=1, max_size=6), label="story"
    )
    shuffled = data.draw(st.permutations(list(range(len(story)))), label="order")
    doubled = data.draw(st.lists(st.sampled_from(shuffled), max_size=3), label="again")
    as_it_was = asyncio.run(_final(story, list(range(len(story)))))
    assert asyncio.run(_final(story, [*shuffled, *doubled])) == as_it_was
