"""A service's own copy of the settings changed at run time (it owns :class:`SettingsCopy` and hears ``configured``). A
setting without a value has the environment's."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from libs.common.handle.context import Context
from libs.common.handle.copy import Copy
from libs.common.store.item import Item, Table
from libs.common.store.per_store import PerStore
from libs.messaging.configuration import applied
from libs.messaging.events.settings import SettingChanged, SettingTold
from libs.messaging.settings import MessagingSettings

#: Cached because every message reads them; other processes see a change up to this much later.
CACHE_SECONDS = 2.0
_ALL = "all"


class SettingsCopy(Item):
    """One row: key -> value set, and key -> revision received."""

    TABLE: ClassVar[Table] = Table("settings-copy", key="id")

    id: str = _ALL
    values: dict[str, Any] = Field(default_factory=dict)
    revisions: dict[str, int] = Field(default_factory=dict)


def _row(event: SettingChanged | SettingTold, now: datetime) -> SettingsCopy:
    values = {} if event.value is None else {event.key: event.value}
    return SettingsCopy(values=values, revisions={event.key: event.revision})


def _merged(before: SettingsCopy | None, row: SettingsCopy) -> SettingsCopy | None:
    """Merges each setting by its own revision."""
    known = before or SettingsCopy()
    newer = {key for key, revision in row.revisions.items() if revision > known.revisions.get(key, 0)}
    if not newer:
        return None
    kept = {key: value for key, value in known.values.items() if key not in newer}
    return SettingsCopy(values={**kept, **row.values}, revisions={**known.revisions, **row.revisions})


configured = Copy(SettingsCopy, {SettingChanged: _row, SettingTold: _row}, merge=_merged, cache_seconds=CACHE_SECONDS)
#: The last row read and the settings it resulted in; by table.
_applied: PerStore[dict[str, tuple[SettingsCopy, MessagingSettings]]] = PerStore(dict)


async def in_force(ctx: Context) -> MessagingSettings:
    """Returns the settings in force: the environment's, overridden by those changed at run time."""
    copy, environment = await configured.get(ctx, _ALL), ctx.settings.of(MessagingSettings)
    if copy is None:
        return environment
    of_store, table = _applied.of(ctx.store), ctx.table(SettingsCopy)
    found = of_store.get(table)
    if found is None or found[0] is not copy:
        found = of_store[table] = (copy, applied(environment, copy.values))
    return found[1]
