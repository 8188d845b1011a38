"""A clock for tests of copies that arrive while a request waits for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from libs.common.clock import ManualClock
from libs.common.testing.world import World


class ArrivingClock(ManualClock):
    """While a request waits, the queues are worked off once ``seconds`` have passed, as a worker of its own would do."""

    def __init__(self, world: World, seconds: float) -> None:
        super().__init__(world.clock.now())
        self.settle: Callable[[], Awaitable[None]] = world.settle
        self.due = self.now().timestamp() + seconds
        self.slept: list[float] = []
        world.clock = world.runtime.clock = world.bus.clock = self

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await super().sleep(seconds)
        if self.now().timestamp() >= self.due:
            await self.settle()
