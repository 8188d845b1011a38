"""Stops a scenario at every crash point. A crash point is an await with an external effect: a read or write of the store, a
call of the bus, a call of a provider. Each is stopped once before and once after its effect; then other processes take over.

    async def scenario(points):               # runs everything, recovers, asserts
        store, bus = Crashing(memory_store, points), Crashing(memory_bus, points)
        ...
    coverage = await crash_at_every_point(scenario)
    print(coverage)                           # points covered 42/42
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Side = Literal["before", "after"]


class SimulatedCrash(BaseException):
    """The simulated end of the process. No handler may catch it, as none can catch SIGKILL."""


@dataclass
class Points:
    """The awaits of one process, in order. ``kill`` is the one at which it ends, ``hold`` the one before which it waits
    until :meth:`release` (a worker that is stopped and continued)."""

    kill: tuple[int, Side] | None = None
    hold: int | None = None
    seen: list[str] = field(default_factory=list)
    dead: bool = False
    held: asyncio.Event = field(default_factory=asyncio.Event)
    _go: asyncio.Event = field(default_factory=asyncio.Event)

    async def through(self, name: str, effect: Callable[[], Awaitable[T]]) -> T:
        """Pass a point. Raises Killed at ``kill`` and at all later points."""
        if self.dead:
            raise SimulatedCrash
        here = len(self.seen)
        self.seen.append(name)
        if self.hold == here:
            self.held.set()
            await self._go.wait()
        self._crash_at(here, "before")
        result = await effect()
        self._crash_at(here, "after")
        return result

    def release(self) -> None:
        """Let the held process continue."""
        self._go.set()

    def _crash_at(self, here: int, side: Side) -> None:
        if self.kill == (here, side):
            self.dead = True
            raise SimulatedCrash


class CrashingAdapter:
    """Wraps a store, bus or provider: each of its coroutines is a point; other attributes are unchanged."""

    def __init__(self, inner: Any, points: Points, name: str = "") -> None:
        self._inner = inner
        self._points = points
        self._name = name or type(inner).__name__

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(found):
            return found

        @functools.wraps(found)
        async def point(*args: Any, **kwargs: Any) -> Any:
            return await self._points.through(f"{self._name}.{name}", lambda: found(*args, **kwargs))

        return point


@dataclass
class Coverage:
    """The number of points at which the scenario was stopped, and their names."""

    covered: int = 0
    points: int = 0
    names: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"points covered {self.covered}/{self.points}"

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(self.covered + other.covered, self.points + other.points, self.names + other.names)


async def crash_at_every_point(scenario: Callable[[Points], Awaitable[None]]) -> Coverage:
    """Run the scenario once without a crash, then once before and once after each of its points. The scenario asserts itself."""
    whole = Points()
    await scenario(whole)
    coverage = Coverage(0, 2 * len(whole.seen), list(whole.seen))
    for n in range(len(whole.seen)):
        for side in ("before", "after"):
            points = Points(kill=(n, side))
            await scenario(points)
            coverage.covered += points.dead
    return coverage


async def interleave_every_pair(scenario: Callable[[Points, Points], Awaitable[None]]) -> Coverage:
    """Two processes: the first is held before each of its points while the second runs and is stopped after each of its own;
    then the first continues. (Stopping after one point or before the next looks the same to others.)"""
    whole, other = Points(), Points()
    await scenario(whole, other)
    coverage = Coverage(names=list(whole.seen))
    for n in range(len(whole.seen)):
        second = Points()
        await scenario(Points(hold=n), second)
        for m in range(len(second.seen)):
            dying = Points(kill=(m, "after"))
            await scenario(Points(hold=n), dying)
            coverage.points += 1
            coverage.covered += dying.dead
    return coverage
