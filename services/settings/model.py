"""Settings changed at run time, and their history; pure."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.store.item import Item, Table


class SystemConfig(Item):
    """One setting that was changed at least once; ``version`` is the revision in its events. Without ``value`` it was
    reset to its default."""

    TABLE: ClassVar[Table] = Table("config", key="key")

    #: ``key`` in JSON; the name ``key`` is a method of items.
    name: str = Field(alias="key")
    value: Any = None
    updated_by: str
    updated_at: Timestamp


class SettingVersion(Item):
    """One entry of a setting's history, written once."""

    TABLE: ClassVar[Table] = Table("history", key="key", sort="place")

    name: str = Field(alias="key")
    #: The version number, padded so that text order is numeric order.
    place: str
    number: int
    value: Any = None
    updated_by: str
    updated_at: Timestamp

    @staticmethod
    def of(row: SystemConfig, number: int) -> SettingVersion:
        return SettingVersion(
            name=row.name,
            place=f"{number:06d}",
            number=number,
            value=row.value,
            updated_by=row.updated_by,
            updated_at=row.updated_at,
        )
