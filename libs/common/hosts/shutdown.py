"""A shutdown signal, and waits that end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class ShutdownSignal:
    """Set once, by a signal or a test."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()

    async def until(self, waiting: Coroutine[Any, Any, T]) -> T | None:
        """Wait for it until the shutdown is requested (then None)."""
        task, stop = asyncio.ensure_future(waiting), asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            stop.cancel()

    async def sleep(self, seconds: float) -> None:
        await self.until(asyncio.sleep(seconds))


async def cancel(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel the tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
