"""Compare and swap: change a row and write it over the version that was read; once more on the row as it is now where another
writer was quicker."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

from libs.common.errors import Conflict
from libs.common.handle.context import Context
from libs.common.store.item import Item
from libs.common.store.ops import Write

T = TypeVar("T", bound=Item)
R = TypeVar("R")

MAX_TRIES = 20
#: Full jitter under a bound that doubles with each try.
PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.005, 0.25

_random = random.SystemRandom().random


async def compare_and_swap(
    ctx: Context,
    model: type[T],
    key: tuple[str, ...],
    change: Callable[[T | None], tuple[Write | None, R]],
    *,
    row: T | None = None,
) -> R:
    """``change`` gets the row (None: there is none) and returns a conditional write, or None to leave the row, and the result.
    Pure: it runs again after each refused write. ``row``: as last known, instead of a read. Raises Conflict."""
    row = row or await ctx.get(model, *key)
    for attempt in range(MAX_TRIES):
        if attempt:
            await asyncio.sleep(_random() * min(MAX_PAUSE_SECONDS, PAUSE_SECONDS * 2**attempt))
        op, result = change(row)
        if op is None:
            return result
        written = await ctx.write(op)
        if written:
            return result
        row = model.from_row(written.row) if written.row else None
    raise Conflict(f"others kept changing a row of {model.__name__}")
