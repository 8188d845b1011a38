"""What was set is told again now and then, for a service that began to listen since."""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.common.context import Context
from libs.common.service import Step
from libs.messaging.events.settings import SettingTold
from services.settings.requests import stored

#: How often it is looked whether the hour's telling is done.
LOOK_SECONDS = 300


async def tell(ctx: Context) -> AsyncIterator[Step]:
    """A step for each setting, once an hour."""
    for key, row in (await stored(ctx)).items():
        said = SettingTold(key=key, revision=row.version, value=row.value)
        yield Step(f"{key}#{row.version}#{ctx.now:%Y-%m-%dT%H}", (), (said,))
