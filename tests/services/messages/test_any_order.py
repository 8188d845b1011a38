"""Shuffled, doubled and partly lost: whatever the order in which reports come, the end is the same and the way goes up only."""

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.declare.event import Event
from libs.common.errors import Conflict, RetryLater
from libs.common.handle.delivery import deliver
from libs.common.testing.world import World
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageChanged
from libs.messaging.vocabulary import RANK, Status
from services.messages.model import Conversation, Message
from tests.services.messages.scenario import (
    ALEX,
    AWS_ID,
    a_world,
    delivery,
    later,
    permission,
    queued,
    receipt,
    row,
    wrote_in,
)

#: What may be reported of one message, by name.
NAMES = ("claimed", "uncertain", "accepted", "sent", "delivered", "read", "failed", "word")


def reports_of(world: World, message_id: str) -> dict[str, Event]:
    return {
        "claimed": delivery(message_id, Status.CLAIMED, later(world, 1)),
        "uncertain": delivery(message_id, Status.UNCERTAIN, later(world, 2), error_code=ErrorCode.NOT_CONFIRMED),
        "accepted": delivery(message_id, Status.SENT, later(world, 3), provider_id=AWS_ID),
        "sent": receipt(Status.SENT, later(world, 4), also_known_as=(AWS_ID,)),
        "delivered": receipt(Status.DELIVERED, later(world, 5), message_id=message_id),
        "read": receipt(Status.READ, later(world, 6), also_known_as=(AWS_ID,)),
        "failed": receipt(Status.FAILED, later(world, 7), message_id=message_id, error_code=ErrorCode.SPAM),
        "word": receipt(Status.UNKNOWN, later(world, 8), message_id=message_id, provider_status="played"),
    }


async def after(names: Sequence[str]) -> tuple[Message, list[MessageChanged]]:
    """The message once these have been heard in this order and everything has settled."""
    async with a_world() as world:
        message_id = await queued(world)
        world.bus.heard.clear()
        reports = reports_of(world, message_id)
        for name in names:
            await world.publish(reports[name], key=name)
            await world.settle()
            await world.advance(3, step=3)
        await world.advance(17 * 60, step=60)
        assert world.letters() == []
        return await row(world, message_id), world.said(MessageChanged)


def essence(message: Message) -> tuple[object, ...]:
    steps = [(slot, moment.at, moment.code) for slot, moment in message.steps.items()]
    return message.status, message.rank, message.error_code, message.provider_ids(), sorted(steps)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_end_is_the_same_in_any_order(data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1), label="what is not lost")
    order = data.draw(st.permutations([*kept, *data.draw(st.lists(st.sampled_from(kept)), label="doubled")]))
    usual = [name for name in NAMES if name in kept]
    (one, said), (other, _) = asyncio.run(after(order)), asyncio.run(after(usual))
    assert essence(one) == essence(other)
    ranks = [RANK[event.status] for event in said]
    assert len(ranks) == len(set(ranks)), "a status was said twice as news"
    assert one.rank == max([RANK[Status.QUEUED], *ranks])


@settings(max_examples=30, deadline=None)
@given(st.permutations([*NAMES, *NAMES]))
def test_all_at_once_and_twice_ends_where_one_by_one_ends(order: list[str]) -> None:
    """Every handler runs at the same time as every other, each event twice; the store lets them interleave."""

    async def race() -> tuple[Message, list[MessageChanged]]:
        async with a_world() as world:
            message_id = await queued(world)
            service = world.service("messages")
            reports = reports_of(world, message_id)
            left = [world.envelope(reports[name], name) for name in order]
            for _ in range(10):
                ons = [next(on for on in service.hears if on.event is type(each.data)) for each in left]
                work = [deliver(world.runtime, service, on, each) for on, each in zip(ons, left, strict=True)]
                done = await asyncio.gather(*work, return_exceptions=True)
                assert all(error is None or isinstance(error, RetryLater | Conflict) for error in done), done
                left = [each for each, error in zip(left, done, strict=True) if error is not None]
                world.clock.advance(3)
            assert left == []
            return await row(world, message_id), world.said(MessageChanged)

    (raced, said), (usual, _) = asyncio.run(race()), asyncio.run(after(NAMES))
    assert essence(raced) == essence(usual)
    ranks = [RANK[event.status] for event in said]
    assert len(ranks) == len(set(ranks)), "a status was said twice as news"


async def test_somebody_who_writes_again_after_the_old_rows_expired_is_heard() -> None:
    """DynamoDB removes expired rows within days; until then the old conversation must not stand in the way of a new one."""
    async with a_world() as world:
        await world.hear(permission(world), key="permission")
        await world.hear(wrote_in(world, 1))
        world.clock.advance(31 * 24 * 3600)
        await world.hear(wrote_in(world, 2))
        found = await world.row("messages", Conversation, ALEX, "whatsapp")
        assert found is not None
        assert found.last_message_id == "inbound-2"
        assert world.letters() == []
