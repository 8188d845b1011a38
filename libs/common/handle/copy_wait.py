"""Callers read their own writes: a refusal by a local copy is given only after the copy had time to arrive.

A service answers from its own copies of other services' facts, which follow by milliseconds to seconds. Only refusals wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from libs.common.errors import CopyRefusal
from libs.common.handle.runtime import Runtime

T = TypeVar("T")

MIN_PAUSE_SECONDS = 0.05
MAX_PAUSE_SECONDS = 0.5


async def wait_for_copies(runtime: Runtime, run: Callable[[bool], Awaitable[T]]) -> T:
    """The result of ``run(False)``; while it raises CopyRefusal, of ``run(True)``, which passes caches by, with growing pauses.
    Raises the refusal of the last run, which begins once ``copy_wait_seconds`` have passed."""
    clock = runtime.clock
    until = clock.now() + timedelta(seconds=runtime.settings.copy_wait_seconds)
    pause, again = MIN_PAUSE_SECONDS, False
    while True:
        left = (until - clock.now()).total_seconds()
        try:
            return await run(again)
        except CopyRefusal:
            if left <= 0:
                raise
        await clock.sleep(min(pause, left))
        pause, again = min(2 * pause, MAX_PAUSE_SECONDS), True
