"""Republishes the settings periodically, for services that subscribed later."""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.common.declare.service import TickAction
from libs.common.handle.context import Context
from libs.messaging.events.settings import SettingTold
from services.settings.stored import stored

#: How often it is checked whether this hour's republication is done.
REPUBLISH_SECONDS = 300


async def tell(ctx: Context) -> AsyncIterator[TickAction]:
    """Yields a step for each setting, once an hour."""
    for key, row in (await stored(ctx)).items():
        events = SettingTold(key=key, revision=row.version, value=row.value)
        yield TickAction(f"{key}#{row.version}#{ctx.now:%Y-%m-%dT%H}", (), (events,))
