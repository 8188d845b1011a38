"""Reads the settings changed at run time."""

from __future__ import annotations

import asyncio

from libs.common.handle.context import Context
from libs.messaging.configuration import CATALOGUE
from services.settings.model import SystemConfig


async def stored(ctx: Context) -> dict[str, SystemConfig]:
    """Returns the settings changed at run time, by key."""
    rows = await asyncio.gather(*(ctx.get(SystemConfig, key) for key in CATALOGUE))
    return {row.name: row for row in rows if row is not None}
