"""A function in a child process: its limits hold whatever it does, and its parent goes on meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress

import pytest

from libs.common import isolated
from libs.common.errors import Unreadable
from libs.common.isolated import MIB, Isolated, NoSlot, OverLimit, ReaderFailed

# -- in the child ----------------------------------------------------------------------------------


def echo(text: bytes, times: int = 1) -> Iterator[bytes]:
    for _ in range(times):
        yield text


def pid() -> Iterator[bytes]:
    yield str(os.getpid()).encode()


def environment() -> Iterator[bytes]:
    yield "\n".join(os.environ).encode()


def prints(text: bytes) -> Iterator[bytes]:
    print("not a frame", flush=True)
    yield text


def loops() -> Iterator[bytes]:
    """And swallows whatever is raised in it."""
    yield str(os.getpid()).encode()
    while True:
        with suppress(BaseException):
            os.getpid()


def loops_in_c() -> Iterator[bytes]:
    import re

    yield str(re.match(r"(a+)+$", "a" * 60 + "b")).encode()


def sleeps() -> Iterator[bytes]:
    time.sleep(3600)
    yield b""


def fills_memory() -> Iterator[bytes]:
    yield b"x" * (1 << 40)


def fills_memory_slowly() -> Iterator[bytes]:
    held = []
    while True:
        held.append("x" * 10_000)
        if not held:
            yield b""


def writes_for_ever() -> Iterator[bytes]:
    while True:
        yield bytes(MIB)


def crashes() -> Iterator[bytes]:
    os.kill(os.getpid(), signal.SIGSEGV)
    yield b""


def is_at_fault() -> Iterator[bytes]:
    yield b"begun"
    raise KeyError("+12025550143")


def cannot_read() -> Iterator[bytes]:
    raise Unreadable("Row 7: größer als erlaubt")
    yield b""


# -- the parent ------------------------------------------------------------------------------------


def small(**limits: int) -> Isolated:
    given = {"cpu_seconds": 1, "wait_seconds": 20, "output_bytes": 8 * MIB, "memory_bytes": 256 * MIB, **limits}
    return Isolated(**given)


async def test_what_a_function_yields_arrives_and_its_process_is_used_again() -> None:
    readers = small()
    assert await readers.call(echo, b"abc", 3) == b"abcabcabc"
    large = os.urandom(5 * MIB)
    assert await readers.call(echo, large) == large
    first, second = await readers.call(pid), await readers.call(pid)
    assert first == second != str(os.getpid()).encode()
    assert await readers.call(prints, b"only this") == b"only this"


@pytest.mark.parametrize(
    ("function", "limits", "says"),
    [
        (loops, {}, "more than 1 s of computing time"),
        (loops_in_c, {}, "more than 1 s of computing time"),
        (sleeps, {"wait_seconds": 1}, "more than 1 s"),
        (fills_memory, {}, "more than 256 MB of memory"),
        (fills_memory_slowly, {"cpu_seconds": 20}, "more than 256 MB of memory"),
        (writes_for_ever, {"cpu_seconds": 20}, "more than 8 MB of output"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_whoever_goes_over_a_limit_is_ended_and_the_limit_is_named(
    function: Callable[[], Iterator[bytes]], limits: dict[str, int], says: str
) -> None:
    readers = small(**limits)
    with pytest.raises(OverLimit, match=says):
        await readers.call(function)
    assert await readers.call(echo, b"next") == b"next"


async def test_a_crash_and_a_fault_are_told_without_a_word_of_the_input() -> None:
    readers = small()
    with pytest.raises(ReaderFailed, match="signal 11"):
        await readers.call(crashes)
    with pytest.raises(ReaderFailed) as fault:
        await readers.call(is_at_fault)
    assert "KeyError at test_isolated.py" in str(fault.value)
    assert "555" not in str(fault.value)
    with pytest.raises(Unreadable, match="Row 7: größer als erlaubt"):
        await readers.call(cannot_read)


async def test_a_child_has_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    names = (await small().call(environment)).decode().split()
    assert [name for name in names if name.startswith(("AWS", "WECARE"))] == []


async def test_a_process_that_died_while_nobody_used_it_is_replaced() -> None:
    readers = small()
    first = int(await readers.call(pid))
    os.kill(first, signal.SIGKILL)
    await asyncio.to_thread(os.waitid, os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert int(await readers.call(pid)) != first


async def test_others_are_served_while_one_takes_its_time() -> None:
    readers = small(wait_seconds=60, cpu_seconds=30, processes=2)
    slow = asyncio.create_task(readers.call(loops))
    for n in range(20):
        assert await readers.call(echo, str(n).encode()) == str(n).encode()
    assert not slow.done()
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow


async def test_whoever_finds_no_free_process_for_a_while_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "MAX_WAIT_SECONDS", 0.1)
    readers = small(processes=1)
    async with aclosing(readers.frames(echo, b"x", 100)) as frames:
        assert await anext(frames) == b"x"
        with pytest.raises(NoSlot):
            await readers.call(pid)
    assert await readers.call(pid)


async def test_the_process_of_a_call_that_is_given_up_is_ended() -> None:
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def listen() -> None:
        async with aclosing(small(cpu_seconds=60, wait_seconds=60).frames(loops)) as frames:
            async for frame in frames:
                begun.set_result(int(frame))

    call = asyncio.create_task(listen())
    child = await begun
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
