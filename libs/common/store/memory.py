"""The store in memory, for tests: the same behaviour as DynamoDB.

Each call lets other tasks run first, so races occur; the call itself is atomic.
"""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Mapping, Sequence

from libs.common.clock import derived_id
from libs.common.store import values
from libs.common.store.item import Key, Row, Table
from libs.common.store.ops import (
    Delete,
    Insert,
    Op,
    Put,
    Query,
    Rows,
    TransactionConflict,
    Update,
    When,
    Write,
    Written,
)
from libs.common.store.values import from_attributes, key_names, key_of, must_exist, to_attribute, to_attributes

ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class MemoryStore:
    """``tables`` are the tables by physical name."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = tables
        self._rows: dict[str, dict[tuple[str, ...], Row]] = {name: {} for name in tables}
        self._transactions: set[str] = set()

    def rows(self, table: str) -> list[Row]:
        """Every row of a table, for assertions."""
        return [_copy(row) for row in self._rows[table].values()]

    async def get(self, table: str, key: Key) -> Row | None:
        await asyncio.sleep(0)
        row = self._rows[table].get(tuple(key[name] for name in key_names(self._tables[table])))
        return None if row is None else _copy(row)

    async def write(self, op: Write) -> Written:
        await asyncio.sleep(0)
        row = self._standing(op)
        if not _allows(op, row):
            return Written(False, None if row is None else _copy(row))
        self._keep(op, _after(op, row))
        return Written(True)

    async def transact(self, ops: Sequence[Op], token: str) -> None:
        await asyncio.sleep(0)
        values.check_transaction(ops, self._tables)
        cause = derived_id(token, repr(list(ops)))
        if cause in self._transactions:
            return
        rows = [self._standing(op) for op in ops]
        failed = [n for n, (op, row) in enumerate(zip(ops, rows, strict=True)) if not _allows(op, row)]
        if failed:
            raise TransactionConflict(failed)
        changed = [(op, _after(op, row)) for op, row in zip(ops, rows, strict=True)]
        for op, after in changed:
            self._keep(op, after)
        self._transactions.add(cause)

    async def query(self, query: Query) -> Rows:
        await asyncio.sleep(0)
        table = self._tables[query.table]
        after = values.decode_cursor(query, table)
        names = key_names(table, query.index)
        if (query.prefix or query.between) and query.sort is None:
            raise ValueError("a range needs a sort key")

        def place(row: Row) -> tuple[str, ...]:
            return (row[query.sort] if query.sort else "", *(row[name] for name in key_names(table)))

        found = [row for row in self._rows[query.table].values() if _matches(query, row, names)]
        found.sort(key=place, reverse=query.newest_first)
        if after:
            beyond = operator.lt if query.newest_first else operator.gt
            found = [row for row in found if beyond(place(row), place(after))]
        page = found[: query.limit]
        last = {name: page[-1][name] for name in names} if len(found) > query.limit else None
        if query.index and table.index(query.index).projection == "KEYS_ONLY":
            page = [{name: row[name] for name in names} for row in page]
        return Rows([_copy(row) for row in page], values.encode_cursor(query, last) if last else None)

    def _place(self, op: Op) -> tuple[str, ...]:
        return tuple(key_of(op, self._tables[op.table]).values())

    def _standing(self, op: Op) -> Row | None:
        return self._rows[op.table].get(self._place(op))

    def _keep(self, op: Op, after: Row | None) -> None:
        if after is not None:
            self._rows[op.table][self._place(op)] = after
        elif isinstance(op, Delete):
            self._rows[op.table].pop(self._place(op), None)


def _copy(row: Row) -> Row:
    """Convert to DynamoDB's format and back, so that values which DynamoDB cannot store are refused."""
    return from_attributes(to_attributes(row))


def _after(op: Op, row: Row | None) -> Row | None:
    """The row after a write; None if there is none or it is unchanged. Raises RowRefused."""
    if isinstance(op, Insert | Put):
        after = _copy(op.row)
    elif isinstance(op, Update):
        after = {name: value for name, value in (row or {}).items() if name not in op.remove} | _copy(op.set)
    else:
        return None
    values.check_row(after)
    return after


def _allows(op: Op, row: Row | None) -> bool:
    if isinstance(op, Insert):
        return row is None
    if isinstance(op, Put) or (isinstance(op, Delete) and row is None):
        return True
    return (row is not None or not must_exist(op)) and all(_holds(when, row or {}) for when in op.when)


def _holds(when: When, row: Row) -> bool:
    there = when.attribute in row
    if when.operator in ("missing", "present"):
        return there == (when.operator == "present")
    if not there:
        return False
    ((kind, _),) = (left := to_attribute(row[when.attribute])).items()
    ((other, _),) = (right := to_attribute(when.value)).items()
    if when.operator in ("=", "<>"):
        return (left == right) == (when.operator == "=")
    return kind == other and kind in ("S", "N") and ORDER[when.operator](row[when.attribute], when.value)


def _matches(query: Query, row: Row, names: Sequence[str]) -> bool:
    """Whether the row has the hash value, is in the range, and is in the (sparse) index."""
    if row.get(query.hash[0]) != query.hash[1] or not all(isinstance(row.get(name), str) for name in names):
        return False
    sort = row[query.sort] if query.sort else ""
    if query.prefix:
        return bool(sort.startswith(query.prefix))
    return query.between is None or query.between[0] <= sort <= query.between[1]
