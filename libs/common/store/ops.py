"""The contract of a store. A write changes one row; its condition is a conjunction of comparisons.

DynamoDB's batched statements (PartiQL) can express no more, and idempotence by condition needs no more: insert if
absent, raise a rank, change if the version matches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from libs.common.errors import Poison
from libs.common.store.item import Item, Key, Row

Operator = Literal["=", "<>", "<", "<=", ">", ">=", "missing", "present"]


@dataclass(frozen=True)
class When:
    """One comparison: ``When("rank", "<", 3)``, ``When("claimId", "missing")``. A missing attribute fails every comparison
    but ``missing``."""

    attribute: str
    operator: Operator
    value: Any = None


@dataclass(frozen=True)
class Insert:
    """Write the row if its key is absent."""

    table: str
    row: Row


@dataclass(frozen=True)
class Put:
    """Write the row unconditionally."""

    table: str
    row: Row


@dataclass(frozen=True)
class Update:
    """Set and remove attributes of a row that must exist and fulfil every condition."""

    table: str
    key: Key
    set: Row
    remove: tuple[str, ...] = ()
    when: tuple[When, ...] = ()


@dataclass(frozen=True)
class Delete:
    """Remove the row if it fulfils every condition. An absent row counts as success: a retried delete
    cannot know who deleted the row, so a delete must not be used as a claim."""

    table: str
    key: Key
    when: tuple[When, ...] = ()


@dataclass(frozen=True)
class Check:
    """Inside a transaction: the row must fulfil the conditions (without any: exist), and is not changed."""

    table: str
    key: Key
    when: tuple[When, ...] = ()


Write = Insert | Put | Update | Delete
Op = Write | Check


@dataclass(frozen=True)
class Written:
    """The result of a write: ``ok``, or not; then ``row`` is the row that refused it (None: absent)."""

    ok: bool
    row: Row | None = None

    def __bool__(self) -> bool:
        return self.ok


class TransactionConflict(Exception):
    """A transaction was refused whole. ``failed`` are the positions of the operations whose condition did not hold;
    empty if it conflicted with another transaction."""

    def __init__(self, failed: Sequence[int]) -> None:
        super().__init__(f"refused by the conditions of operations {list(failed)}" if failed else "met another")
        self.failed = list(failed)


@dataclass(frozen=True)
class Query:
    """Rows under one hash value, in the order of the sort key.

    ``index`` None means the table itself. ``prefix`` or ``between`` (inclusive) narrow the sort key.
    ``cursor`` is that of the previous page.
    """

    table: str
    hash: tuple[str, str]
    index: str | None = None
    sort: str | None = None
    prefix: str | None = None
    between: tuple[str, str] | None = None
    limit: int = 50
    cursor: str | None = None
    newest_first: bool = False


@dataclass(frozen=True)
class Rows:
    """One page of rows; ``cursor`` is None on the last."""

    rows: list[Row] = field(default_factory=list)
    cursor: str | None = None


class RowRefused(Poison):
    """A row that no table can store. ``bytes`` is at least its size; 0 if it is nested too deeply."""

    def __init__(self, why: str, bytes: int = 0) -> None:
        super().__init__(why)
        self.why = why
        self.bytes = bytes


class BadCursor(ValueError):
    """The cursor was not made by this query."""


class Store(Protocol):
    """The contract. Table names are physical; an index with projection KEYS_ONLY yields rows of key attributes. A write that
    would leave a row too large or nested too deeply raises RowRefused, and nothing is written."""

    async def get(self, table: str, key: Key) -> Row | None:
        """One row, strongly consistent."""

    async def write(self, op: Write) -> Written:
        """One conditional write. Concurrent writes share calls of 25. A retried write whose first answer was lost
        recognises its own effect."""

    async def transact(self, ops: Sequence[Op], token: str) -> None:
        """All or nothing, up to 100 operations on as many rows. With the same ``token`` a repeat of the same operations
        has no further effect; other operations are decided by their conditions. Raises TransactionConflict."""

    async def query(self, query: Query) -> Rows:
        """One page. Raises BadCursor."""


def insert(table: str, item: Item) -> Insert:
    return Insert(table, item.to_row())


def replace(table: str, item: Item) -> Update:
    """Replace the row, on the condition of the version that was read; afterwards the row's version is one higher."""
    row = item.to_row()
    key = item.own_key()
    names = {field.serialization_alias or field.alias or name for name, field in type(item).model_fields.items()}
    rest = {name: value for name, value in row.items() if name not in key}
    rest["version"] = item.version + 1
    gone = tuple(sorted(names - row.keys() - key.keys()))
    return Update(table, key, rest, gone, (When("version", "=", item.version),))
