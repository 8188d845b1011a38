"""The batcher: many callers, few calls."""

import asyncio
from collections.abc import Sequence

import pytest

from libs.common.aws.batcher import Batcher


class Wire:
    """Records the calls; each waits until the test lets it go."""

    def __init__(self, held: bool = False) -> None:
        self.calls: list[list[str]] = []
        self.gate = asyncio.Event()
        if not held:
            self.gate.set()

    async def send(self, things: Sequence[str]) -> list[str | BaseException]:
        self.calls.append(list(things))
        await self.gate.wait()
        return [ValueError(thing) if thing.startswith("bad") else thing.upper() for thing in things]

    async def called(self, times: int) -> None:
        async with asyncio.timeout(2):
            while len(self.calls) < times:  # noqa: ASYNC110 - nothing else to wait for
                await asyncio.sleep(0)


def first_letter(thing: str) -> str:
    return thing[0]


async def test_what_is_asked_at_the_same_time_goes_out_together_and_each_gets_its_own_answer() -> None:
    wire = Wire()
    batcher = Batcher(wire.send, maximum=10)
    assert await asyncio.gather(*(batcher.do(each) for each in "abc")) == ["A", "B", "C"]
    assert wire.calls == [["a", "b", "c"]]


async def test_a_full_batch_does_not_wait_for_the_timer() -> None:
    wire = Wire()
    batcher = Batcher(wire.send, maximum=2, linger=60)
    assert await asyncio.gather(*(batcher.do(each) for each in "abcd")) == ["A", "B", "C", "D"]
    assert wire.calls == [["a", "b"], ["c", "d"]]


async def test_a_lone_thing_leaves_after_the_linger() -> None:
    wire = Wire()
    async with asyncio.timeout(1):
        assert await Batcher(wire.send, maximum=10, linger=0.001).do("a") == "A"


async def test_an_error_among_the_results_meets_its_own_caller_alone() -> None:
    batcher = Batcher(Wire().send, maximum=3)
    good, bad, fine = await asyncio.gather(*(batcher.do(each) for each in ("a", "bad", "c")), return_exceptions=True)
    assert (good, fine) == ("A", "C")
    assert isinstance(bad, ValueError)


async def test_an_error_of_the_call_meets_all_and_the_next_call_is_not_harmed() -> None:
    fail = True

    async def send(things: Sequence[str]) -> Sequence[str]:
        if fail:
            raise ConnectionError
        return things

    batcher = Batcher(send, maximum=2, key=first_letter)
    results = await asyncio.gather(batcher.do("a"), batcher.do("b"), return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionError, ConnectionError]
    fail = False
    assert await asyncio.gather(batcher.do("a"), batcher.do("b")) == ["a", "b"]


async def test_too_few_results_are_an_error_and_leave_nobody_waiting() -> None:
    async def send(things: Sequence[str]) -> Sequence[str]:
        return things[1:]

    batcher = Batcher(send, maximum=2)
    async with asyncio.timeout(1):
        results = await asyncio.gather(batcher.do("a"), batcher.do("b"), return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeError, RuntimeError]


async def test_two_things_of_one_key_never_share_a_call_and_keep_their_order() -> None:
    wire = Wire()
    batcher = Batcher(wire.send, maximum=10, linger=0.001, key=first_letter)
    await asyncio.gather(*(batcher.do(each) for each in ("a1", "a2", "b1", "a3", "b2")))
    assert wire.calls == [["a1", "b1"], ["a2", "b2"], ["a3"]]


async def test_a_thing_waits_while_its_key_is_on_its_way_and_others_pass() -> None:
    wire = Wire(held=True)
    batcher = Batcher(wire.send, maximum=10, linger=0.001, key=first_letter)
    tasks = [asyncio.create_task(batcher.do("a1"))]
    await wire.called(1)
    tasks += [asyncio.create_task(batcher.do(each)) for each in ("a2", "b1")]
    await wire.called(2)
    assert wire.calls == [["a1"], ["b1"]]
    wire.gate.set()
    assert await asyncio.gather(*tasks) == ["A1", "A2", "B1"]
    assert wire.calls == [["a1"], ["b1"], ["a2"]]


async def test_a_long_line_behind_one_key_does_not_spoil_the_batches_of_the_others() -> None:
    wire = Wire(held=True)
    batcher = Batcher(wire.send, maximum=3, linger=60, key=first_letter)
    tasks = [asyncio.create_task(batcher.do(f"a{n}")) for n in range(9)]
    tasks += [asyncio.create_task(batcher.do(each)) for each in "bcdef"]
    await wire.called(2)
    assert wire.calls == [["a0", "b", "c"], ["d", "e", "f"]]
    wire.gate.set()
    await batcher.drain()
    assert [task.result() for task in tasks] == [*(f"A{n}" for n in range(9)), *"BCDEF"]


async def test_a_call_that_ends_does_not_hurry_those_who_still_linger() -> None:
    wire = Wire(held=True)
    batcher = Batcher(wire.send, maximum=2, linger=60, key=first_letter)
    first = [asyncio.create_task(batcher.do(each)) for each in "ab"]
    await wire.called(1)
    lone = asyncio.create_task(batcher.do("c"))
    await asyncio.sleep(0)
    wire.gate.set()
    await asyncio.gather(*first)
    assert wire.calls == [["a", "b"]]
    assert await asyncio.gather(lone, batcher.do("d")) == ["C", "D"]
    assert wire.calls == [["a", "b"], ["c", "d"]]


async def test_a_thing_whose_caller_has_gone_is_not_sent_and_frees_its_key() -> None:
    wire = Wire()
    batcher = Batcher(wire.send, maximum=10, linger=60, key=first_letter)
    gone, also_gone, stays = (asyncio.create_task(batcher.do(each)) for each in ("a1", "a2", "a3"))
    await asyncio.sleep(0)
    gone.cancel()
    also_gone.cancel()
    await asyncio.sleep(0)
    await batcher.drain()
    assert await stays == "A3"
    assert wire.calls == [["a3"]]


async def test_a_caller_that_leaves_during_the_call_disturbs_nobody() -> None:
    wire = Wire(held=True)
    batcher = Batcher(wire.send, maximum=2, key=first_letter)
    leaves, stays = (asyncio.create_task(batcher.do(each)) for each in "ab")
    await wire.called(1)
    leaves.cancel()
    await asyncio.sleep(0)
    wire.gate.set()
    assert await stays == "B"
    assert await asyncio.gather(batcher.do("a"), batcher.do("c")) == ["A", "C"]


async def test_a_call_carries_no_more_than_it_can_and_what_is_too_heavy_goes_alone() -> None:
    wire = Wire()
    batcher = Batcher(wire.send, maximum=10, linger=0.001, weight=len, max_weight=4)
    await asyncio.gather(*(batcher.do(each) for each in ("aaa", "bb", "c", "dddddd", "ee")))
    assert sorted(wire.calls) == [["aaa", "c"], ["bb", "ee"], ["dddddd"]]


async def test_draining_sees_everything_through() -> None:
    wire = Wire()
    batcher = Batcher(wire.send, maximum=10, linger=60, key=first_letter)
    tasks = [asyncio.create_task(batcher.do(each)) for each in ("a1", "a2", "b1")]
    await asyncio.sleep(0)
    await batcher.drain()
    assert all(task.done() for task in tasks)


@pytest.mark.parametrize("keyed", [True, False])
async def test_under_load_nothing_is_lost_or_mixed_up(keyed: bool) -> None:
    wire = Wire()
    batcher = Batcher(wire.send, maximum=7, linger=0.001, key=first_letter if keyed else None)
    things = [f"{'abcdefghij'[n % 10]}{n}" for n in range(500)]
    assert await asyncio.gather(*(batcher.do(each) for each in things)) == [each.upper() for each in things]
    assert sorted(each for call in wire.calls for each in call) == sorted(things)
    if keyed:
        order = [each for call in wire.calls for each in call if each[0] == "a"]
        assert order == [each for each in things if each[0] == "a"]
        assert all(len({each[0] for each in call}) == len(call) for call in wire.calls)


async def test_while_enough_calls_are_under_way_only_full_ones_join_them_and_the_rest_leaves_as_soon_as_one_ends() -> (
    None
):
    wire = Wire(held=True)
    batcher = Batcher(wire.send, maximum=3, linger=0.001, concurrency=1)
    first = asyncio.ensure_future(batcher.do("a"))
    await wire.called(1)
    others = [asyncio.ensure_future(batcher.do(each)) for each in "bcdef"]
    await wire.called(2)
    await asyncio.sleep(0.01)  # longer than the linger: nothing may happen
    assert wire.calls == [["a"], ["b", "c", "d"]]
    wire.gate.set()
    assert await asyncio.gather(first, *others) == list("ABCDEF")
    assert wire.calls[2:] == [["e", "f"]]


async def test_a_thing_that_cannot_be_weighed_fails_alone_and_at_once() -> None:
    wire = Wire()

    def weigh(thing: str) -> int:
        return len(thing.encode())

    batcher = Batcher(wire.send, maximum=20, weight=weigh, max_weight=100)
    things = [*"abcdefghi", "half a pair \ud83d", *"jklmnopqrs"]
    async with asyncio.timeout(2):
        answers = await asyncio.gather(*(batcher.do(each) for each in things), return_exceptions=True)
    assert isinstance(answers.pop(9), UnicodeEncodeError)
    assert answers == list("ABCDEFGHIJKLMNOPQRS")
    assert len(wire.calls) == 1
