"""A service's own copy of what was configured while it runs (it owns :class:`SettingsCopy` and hears both events). What nobody
set is as the environment has it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from pydantic import Field

from libs.common.declare.event import Event
from libs.common.declare.service import On, on
from libs.common.handle.context import Context
from libs.common.settings import Settings
from libs.common.store.item import Item, Table
from libs.common.store.ops import Store
from libs.messaging.configuration import applied
from libs.messaging.events.settings import SettingChanged, SettingTold

#: Every message asks for them; other processes hear of a change this much later.
CACHE_TTL = timedelta(seconds=2)
_ALL = "all"

_seen: WeakKeyDictionary[Store, dict[str, tuple[datetime, Settings]]] = WeakKeyDictionary()


class SettingsCopy(Item):
    """One row: key -> value of what is set, and key -> revision of what was heard."""

    TABLE: ClassVar[Table] = Table("settings-copy", key="id")

    id: str = _ALL
    values: dict[str, Any] = Field(default_factory=dict)
    revisions: dict[str, int] = Field(default_factory=dict)


def hears() -> list[On]:
    """For the declaration."""
    return [on(SettingChanged, keep_setting), on(SettingTold, keep_setting)]


async def keep_setting(event: SettingChanged | SettingTold, ctx: Context) -> Sequence[Event]:
    """The newest revision wins."""
    before = await ctx.get(SettingsCopy, _ALL)
    copy = before or SettingsCopy(version=1)
    if event.revision <= copy.revisions.get(event.key, 0):
        return ()
    values = {key: value for key, value in copy.values.items() if key != event.key}
    if event.value is not None:
        values[event.key] = event.value
    revisions = {**copy.revisions, event.key: event.revision}
    await ctx.save(copy.model_copy(update={"values": values, "revisions": revisions}), over=before)
    _seen.setdefault(ctx.store, {}).pop(ctx.table(SettingsCopy), None)
    return ()


async def in_force(ctx: Context) -> Settings:
    """The settings as they count now: the environment's, and over them what was configured."""
    seen = _seen.setdefault(ctx.store, {})
    table = ctx.table(SettingsCopy)
    found = seen.get(table)
    if found is not None and ctx.now < found[0]:
        return found[1]
    if found is not None:
        # While one asks, the others go on with what they had.
        seen[table] = (ctx.now + CACHE_TTL, found[1])
    copy = await ctx.get(SettingsCopy, _ALL)
    settings = applied(ctx.settings, copy.values) if copy else ctx.settings
    seen[table] = (ctx.now + CACHE_TTL, settings)
    return settings
