"""Deeply nested JSON: malformed at the first read, described without failing, stored unchanged."""

from __future__ import annotations

import json

import pytest

from libs.common.errors import Malformed
from libs.common.json_text import MAX_JSON_DEPTH, read_json
from libs.common.observe.log import describe, secrets_in
from libs.common.testing.world import World
from tests.kit import toy
from tests.kit.toy import Counted, Greeted

DEPTHS = [MAX_JSON_DEPTH + 1, 250, 300, 1000, 1023, 5000, 100_000]


@pytest.mark.parametrize("levels", DEPTHS)
async def test_an_event_nested_too_deep_is_a_dead_letter_at_its_first_try_and_kept_whole(levels: int) -> None:
    async with World([toy.service]) as world:
        body = '{"type": "toy.greeted.v1", "data": ' + "[" * levels + "]" * levels + "}"
        await world.bus.send("wecare-test-toy", body, {})
        await world.settle()
        letter, _again = world.letters()
        assert (letter["cause"], letter["record"]["receiveCount"]) == ("malformed", 1)
        if len(body) < 100_000:
            assert letter["record"]["body"] == body


@pytest.mark.parametrize("levels", [MAX_JSON_DEPTH, 300])
async def test_of_a_batch_only_the_event_that_is_nested_too_deep_dies(levels: int) -> None:
    async with World([toy.service]) as world:
        good = [json.dumps(world.envelope(Greeted(name=f"n{n}")).to_wire()) for n in range(19)]
        bad = good[0].replace('"n0"', "[" * levels + "]" * levels)
        body = f"[{','.join([*good[:9], bad, *good[9:]])}]"
        await world.bus.send("wecare-test-toy", body, {"type": Greeted.TYPE, "channel": "whatsapp"})
        await world.settle()
        assert {said.name for said in world.said(Counted)} == {f"n{n}" for n in range(19)}
        letter, _again = world.letters()
        assert json.loads(letter["record"]["body"])["data"]["name"] != "n0"


async def test_what_fails_is_described_whatever_it_is() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RecursionError

    assert describe(Odd()) == "Odd (it cannot be described)"
    deep: object = "hidden secret"
    for _ in range(5000):
        deep = {"body": deep}
    assert list(secrets_in(deep)) == ["hidden secret"]
    assert describe(ValueError("x" * 5000 + "hidden secret"), ["hidden secret"]) == "x" * 500


@pytest.mark.parametrize(
    "text", ["[" * 61 + "]" * 61, '{"a":' * 5000 + "1" + "}" * 5000, "[" * 5000, "nope", '"\\ud83d']
)
def test_what_is_too_deep_or_no_json_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        read_json(text)


def test_half_an_emoji_is_read_as_a_question_mark() -> None:
    assert read_json('{"a": "x\\ud83d"}') == {"a": "x?"}
    assert read_json("[" * 60 + "]" * 60)


async def test_few_bad_records_that_are_retried_do_not_stop_a_quiet_queue() -> None:
    from libs.common.handle.consumer_breaker import ConsumerBreaker
    from libs.common.handle.receive import receive

    async with World([toy.service]) as world:
        breaker = ConsumerBreaker()
        for n in range(10):
            await world.publish(Greeted(name=f"n{n}", trouble="broken"))
        for _ in range(6):
            while records := await world.bus.receive("wecare-test-toy", 10, 0):
                for record in records:
                    await receive(world.runtime, toy.service, record, breaker)
            world.clock.advance(400)
        assert not breaker.open
