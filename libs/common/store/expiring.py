"""A store in which a row past its time to live is absent. DynamoDB deletes such rows within days, not at once; until then they
would block inserts and answer reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from libs.common.store.item import Item, Key, Row
from libs.common.store.ops import (
    Check,
    Delete,
    Insert,
    Op,
    Query,
    Rows,
    Store,
    TransactionConflict,
    Update,
    When,
    Write,
    Written,
)
from libs.common.store.values import key_of

#: An expired row is removed and the write retried; each time another writer may be faster.
MAX_TRIES = 3

AnyOp = TypeVar("AnyOp", bound=Op)


class ExpiringStore:
    """``items`` are the items by the physical name of their table; ``now`` returns the time."""

    def __init__(self, store: Store, items: Mapping[str, type[Item]], now: Callable[[], datetime]) -> None:
        self._store = store
        self._items = items
        self._now = now

    async def get(self, table: str, key: Key) -> Row | None:
        row = await self._store.get(table, key)
        return None if row is None or self._expired(table, row) else row

    async def query(self, query: Query) -> Rows:
        """A page may be shorter than requested. Rows of an index that projects keys only have no expiry attribute."""
        found = await self._store.query(query)
        return replace(found, rows=[row for row in found.rows if not self._expired(query.table, row)])

    async def write(self, op: Write) -> Written:
        guarded = self._guarded(op)
        for _ in range(MAX_TRIES):
            written = await self._store.write(guarded)
            if written or written.row is None:
                return written
            if self._expired(op.table, written.row):
                if not isinstance(op, Insert):
                    return Written(isinstance(op, Delete))
                await self._remove(op, written.row)
            elif (other := self._for_ever(op, guarded, written.row)) is not None:
                guarded = other
            else:
                return written
        return written

    async def transact(self, ops: Sequence[Op], token: str) -> None:
        """As in the underlying store. The token is valid for one call: a repeat in another second is decided by its conditions."""
        guarded = [self._guarded(op) for op in ops]
        for n in range(MAX_TRIES):
            try:
                await self._store.transact(guarded, f"{token}#{n}" if n else token)
                return
            except TransactionConflict as conflict:
                # The caller retries a transaction that conflicted with another one, or that an unexpired row refused.
                cleared = [await self._cleared(ops[at], at, guarded) for at in conflict.failed]
                if n + 1 == MAX_TRIES or not cleared or not all(cleared):
                    raise

    async def _cleared(self, op: Op, at: int, guarded: list[Op]) -> bool:
        """Whether another attempt can succeed: an expired row was the obstacle and is deleted now, or the row never expires and
        ``guarded[at]`` now has that condition."""
        table = self._items[op.table].TABLE if op.table in self._items else None
        if table is None or table.ttl is None:
            return False
        row = await self._store.get(op.table, key_of(op, table))
        if row is None:
            return _allows_absence(op)
        if self._expired(op.table, row):
            if _allows_absence(op):
                await self._remove(op, row)
            return _allows_absence(op)
        other = self._for_ever(op, guarded[at], row)
        if other is not None:
            guarded[at] = other
        return other is not None

    async def _remove(self, op: Op, row: Row) -> None:
        """Delete the expired row, unless it was replaced."""
        table = self._items[op.table].TABLE
        assert table.ttl is not None
        await self._store.write(Delete(op.table, key_of(op, table), (When(table.ttl, "=", row[table.ttl]),)))

    def _guarded(self, op: AnyOp) -> AnyOp:
        """An operation that needs the row is refused if the row has expired, as if it were absent."""
        item = self._items.get(op.table)
        if item is None or item.TABLE.ttl is None or not isinstance(op, Update | Check) or _allows_absence(op):
            return op
        return _and(op, When(item.TABLE.ttl, ">", int(self._now().timestamp())))

    def _for_ever(self, op: AnyOp, guarded: Op, row: Row) -> AnyOp | None:
        """The operation for a row without a time to live; None if it was that already or the row has one. (Conditions have no
        "or", so these rare rows cost another attempt.)"""
        ttl = self._items[op.table].TABLE.ttl if op.table in self._items else None
        if ttl is None or row.get(ttl) is not None or not isinstance(op, Update | Check) or guarded == op:
            return None
        other = _and(op, When(ttl, "missing"))
        return None if guarded == other else other

    def _expired(self, table: str, row: Row) -> bool:
        item = self._items.get(table)
        return item is not None and item.has_expired(row, self._now())


def _and(op: AnyOp, when: When) -> AnyOp:
    assert isinstance(op, Update | Check)
    return replace(op, when=(*op.when, when))


def _allows_absence(op: Op) -> bool:
    """Whether the operation succeeds without a row."""
    if isinstance(op, Check):
        return bool(op.when) and all(each.operator == "missing" for each in op.when)
    return not isinstance(op, Update)
