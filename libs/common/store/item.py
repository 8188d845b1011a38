"""Items: rows with their table.

A subclass declares ``TABLE``; names on the wire and in DynamoDB are camelCase, as in the API. A field that
is ``None`` is not written, so that an index over it stays sparse.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Row = dict[str, Any]
Key = dict[str, str]


@dataclass(frozen=True)
class Index:
    """A global secondary index; attribute names as on the wire. ``KEYS_ONLY`` unless a list needs the whole rows."""

    name: str
    hash: str
    sort: str | None = None
    projection: str = "KEYS_ONLY"


@dataclass(frozen=True)
class Table:
    """A DynamoDB table, on demand. ``ttl`` names an attribute in Unix seconds; readers filter expired rows."""

    name: str
    key: str
    sort: str | None = None
    indexes: tuple[Index, ...] = ()
    ttl: str | None = None

    def index(self, name: str) -> Index:
        for index in self.indexes:
            if index.name == name:
                return index
        raise KeyError(f"table {self.name} has no index {name}")


class Item(BaseModel):
    """Base of every row. ``version`` counts the replacements and guards them (optimistic lock)."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, populate_by_name=True)

    TABLE: ClassVar[Table]

    version: int = 0

    def to_row(self) -> Row:
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls.model_validate(row)

    @classmethod
    def key(cls, hash: str, sort: str | None = None) -> Key:
        """The primary key for these values."""
        table = cls.TABLE
        if table.sort is None:
            return {table.key: hash}
        if sort is None:
            raise TypeError(f"{cls.__name__} needs {table.key} and {table.sort}")
        return {table.key: hash, table.sort: sort}

    def own_key(self) -> Key:
        row = self.to_row()
        return {name: row[name] for name in (self.TABLE.key, self.TABLE.sort) if name}

    @classmethod
    def has_expired(cls, row: Row, now: datetime) -> bool:
        """DynamoDB deletes up to 48 h late, so readers must check the time."""
        return bool(cls.TABLE.ttl) and row.get(cls.TABLE.ttl or "", now.timestamp() + 1) <= now.timestamp()
