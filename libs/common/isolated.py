"""Run a function that reads a stranger's bytes in a child process, with limits of time, memory and output.

Parsers of sheets and mail are other people's code, and some inputs make them take hours or gigabytes. A thread cannot be ended
and shares the memory; a process can be and does not. The child has no credentials in its environment. It works the same under
ECS and Lambda, where ``multiprocessing`` does not (no ``/dev/shm``).

Children are kept and used again. Measured on two busy cores: a new child that reads mail costs 0.5 to 0.8 s (imports), a used
one 3 ms, of which 0.5 ms in this process, so a cold child for each mail would cost more than the mail. What a stranger can write
in 8 KB takes 70 ms at worst, so that shorter messages are read where they arrive; 190 KB took 12 s, 40 MB take hours.

The limit of CPU time is the one that counts: it is the same on a busy machine. The limit of waiting is for what uses none.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress

from libs.common import isolated_child
from libs.common.clock import monotonic
from libs.common.errors import Unreadable
from libs.common.settings import child_environment

MIB = 1 << 20
DEFAULT_MEMORY_BYTES = 512 * MIB
#: Calls after which a child is replaced.
MAX_CALLS = 200
#: How long a call waits for a free child before it is :class:`NoSlot`.
MAX_WAIT_SECONDS = 5.0
_LOOK_SECONDS = 0.02


class OverLimit(Exception):
    """The function needed more than it may. ``limit`` is a phrase for people: "more than 8 s of computing time"."""

    def __init__(self, limit: str) -> None:
        super().__init__(f"reading it takes {limit}")
        self.limit = limit


class ReaderFailed(Exception):
    """The function raised what it should not, or its process crashed. The text holds nothing of the input."""


class NoSlot(Exception):
    """Every child was busy for a while; nobody is at fault."""


class Isolated:
    """Child processes for one kind of work, at most ``processes`` of them at a time."""

    def __init__(
        self,
        *,
        cpu_seconds: int,
        wait_seconds: float,
        output_bytes: int,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        processes: int = 2,
    ) -> None:
        self.cpu_seconds = cpu_seconds
        self.wait_seconds = wait_seconds
        self.output_bytes = output_bytes
        self.memory_bytes = memory_bytes
        self._slots = threading.BoundedSemaphore(processes)
        self._idle: list[_Child] = []

    async def call(self, function: Callable[..., Iterable[bytes]], *arguments: object) -> bytes:
        """All that ``function(*arguments)`` yields. Raises as :meth:`frames`."""
        async with aclosing(self.frames(function, *arguments)) as frames:
            return b"".join([frame async for frame in frames])

    async def frames(self, function: Callable[..., Iterable[bytes]], *arguments: object) -> AsyncGenerator[bytes, None]:
        """What ``function(*arguments)`` yields, one by one; it waits while nobody takes them. ``function`` is a function of a
        module. Raises Unreadable as the function does, OverLimit, ReaderFailed, Busy. Close it (``aclosing``)."""
        await self._take_slot()
        try:
            child = self._child()
            done = False
            try:
                request = pickle.dumps((function, arguments, self.cpu_seconds), pickle.HIGHEST_PROTOCOL)
                await asyncio.to_thread(child.ask, request, self.wait_seconds)
                del request, arguments
                left = self.output_bytes
                while (frame := await asyncio.to_thread(child.frame, left)) is not None:
                    left -= len(frame)
                    yield frame
                done = True
            finally:
                self._give_back(child, done)
        finally:
            self._slots.release()

    async def _take_slot(self) -> None:
        until = monotonic() + MAX_WAIT_SECONDS
        while not self._slots.acquire(blocking=False):
            if monotonic() > until:
                raise NoSlot("no child process is free")
            await asyncio.sleep(_LOOK_SECONDS)

    def _child(self) -> _Child:
        while self._idle:
            child = self._idle.pop()
            if child.source_queue():
                return child
            child.stop()
        return _Child(self)

    def _give_back(self, child: _Child, done: bool) -> None:
        if done and child.reusable and child.calls < MAX_CALLS:
            self._idle.append(child)
        else:
            child.stop()


class _Child:
    """One process and its pipes. Its methods block; each runs in a thread."""

    def __init__(self, limits: Isolated) -> None:
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._limits = limits
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", isolated_child.__name__, str(limits.memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**child_environment(), "PYTHONPATH": path, "MALLOC_ARENA_MAX": "1"},
            # A Ctrl-C that is meant for us must not look like a file that crashed its reader.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        for pipe in (self._in, self._out):
            os.set_blocking(pipe, False)
        #: Held while a thread uses the pipes: they are closed only once it is through.
        self._using = threading.Lock()
        self._left = 0.0
        self.calls = 0
        self.reusable = False
        _running.add(self)

    def source_queue(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: bytes, wait_seconds: float) -> None:
        self._left = wait_seconds
        self.calls += 1
        self.reusable = False
        sent, whole = 0, memoryview(request)
        with self._using:
            while sent < len(whole):
                self._wait(self._in, select.POLLOUT)
                try:
                    sent += os.write(self._in, whole[sent : sent + MIB])
                except BrokenPipeError:
                    raise self._ended() from None

    def frame(self, left: int) -> bytes | None:
        """The next frame of at most ``left`` bytes, or None after the last. Raises."""
        with self._using:
            kind, size = isolated_child.HEAD.unpack(self._read(isolated_child.HEAD.size))
            if size > left:
                raise OverLimit(f"more than {self._limits.output_bytes // MIB:,} MB of output")
            payload = self._read(size)
        if kind == isolated_child.DATA:
            return payload
        if kind == isolated_child.END:
            self.reusable = payload == isolated_child.MAY_BE_REUSED
            return None
        if kind == isolated_child.UNREADABLE:
            raise Unreadable(payload.decode())
        if kind == isolated_child.MEMORY:
            raise self._too_much_memory()
        raise ReaderFailed(payload.decode("utf-8", "replace"))

    def stop(self) -> None:
        """Whatever it is doing."""
        _running.discard(self)
        self._process.kill()
        self._process.wait()
        with self._using:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()

    def _read(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            self._wait(self._out, select.POLLIN)
            data = os.read(self._out, min(MIB, size - len(found)))
            if not data:
                raise self._ended()
            found += data
        return bytes(found)

    def _wait(self, pipe: int, event: int) -> None:
        """Until the pipe is ready. Only our own waiting counts, not the time in which the caller uses what it got."""
        poll, began = select.poll(), monotonic()
        poll.register(pipe, event)
        ready = poll.poll(max(0.0, self._left) * 1000)
        self._left -= monotonic() - began
        if not ready:
            raise OverLimit(f"more than {self._limits.wait_seconds:.0f} s")

    def _ended(self) -> Exception:
        """Why it ended without an answer."""
        ended_by = -self._process.wait()
        if ended_by == signal.SIGXCPU:
            return OverLimit(f"more than {self._limits.cpu_seconds} s of computing time")
        # Without memory an interpreter may not even be able to say so; nobody but the kernel sends SIGKILL here.
        if ended_by == signal.SIGKILL:
            return self._too_much_memory()
        return ReaderFailed(f"its process ended by signal {ended_by}" if ended_by > 0 else "its process ended")

    def _too_much_memory(self) -> OverLimit:
        return OverLimit(f"more than {self._limits.memory_bytes // MIB:,} MB of memory")


_running: set[_Child] = set()


@atexit.register
def _stop_all() -> None:
    for child in list(_running):
        child.stop()
