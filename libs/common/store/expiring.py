"""A store in which a row past its time to live is absent. DynamoDB deletes such rows within days, not at once; until then they
would block inserts and answer reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from libs.common.item import Item, Key, Row
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

#: An expired row is removed and the write tried again; each time another writer may have been quicker.
MAX_TRIES = 3


class ExpiringStore:
    """``items`` are the items by the physical name of their table; ``now`` tells the time."""

    def __init__(self, store: Store, items: Mapping[str, type[Item]], now: Callable[[], datetime]) -> None:
        self._store = store
        self._items = items
        self._now = now
        #: Table -> its time-to-live attribute, where every row has it.
        self._always = {
            name: item.TABLE.ttl for name, item in items.items() if item.TABLE.ttl and item.always_expires()
        }

    async def get(self, table: str, key: Key) -> Row | None:
        row = await self._store.get(table, key)
        return None if row is None or self._expired(table, row) else row

    async def query(self, query: Query) -> Rows:
        """A page may be shorter than asked. Rows of an index that projects keys only do not show when they expire."""
        found = await self._store.query(query)
        return replace(found, rows=[row for row in found.rows if not self._expired(query.table, row)])

    async def write(self, op: Write) -> Written:
        guarded = self._guarded(op)
        for _ in range(MAX_TRIES):
            written = await self._store.write(guarded)
            if written or written.row is None or not self._expired(op.table, written.row):
                return written
            if not isinstance(op, Insert):
                return Written(isinstance(op, Delete))
            await self._remove(op, written.row)
        return written

    async def transact(self, ops: Sequence[Op], token: str) -> None:
        guarded = [self._guarded(op) for op in ops]
        for n in range(MAX_TRIES):
            try:
                await self._store.transact(guarded, f"{token}#{n}" if n else token)
                return
            except TransactionConflict as conflict:
                # A transaction that met another one is the caller's to repeat; so is one that a living row refused.
                cleared = [await self._cleared(ops[at]) for at in conflict.failed]
                if n + 1 == MAX_TRIES or not cleared or not all(cleared):
                    raise

    async def _cleared(self, op: Op) -> bool:
        """Whether an expired row refused the insert; if so it is gone now."""
        item = self._items.get(op.table)
        if not isinstance(op, Insert) or item is None or item.TABLE.ttl is None:
            return False
        row = await self._store.get(op.table, key_of(op, item.TABLE))
        if row is None:
            return True
        if not self._expired(op.table, row):
            return False
        await self._remove(op, row)
        return True

    async def _remove(self, op: Insert, row: Row) -> None:
        """Delete the expired row, unless somebody has replaced it."""
        table = self._items[op.table].TABLE
        assert table.ttl is not None
        await self._store.write(Delete(op.table, key_of(op, table), (When(table.ttl, "=", row[table.ttl]),)))

    def _guarded(self, op: Any) -> Any:
        """An update of an expired row is refused, as one of an absent row is."""
        ttl = self._always.get(op.table)
        if ttl is None or not isinstance(op, Update | Check) or _tests(op.when, ttl):
            return op
        return replace(op, when=(*op.when, When(ttl, ">", int(self._now().timestamp()))))

    def _expired(self, table: str, row: Row) -> bool:
        item = self._items.get(table)
        return item is not None and item.has_expired(row, self._now())


def _tests(when: Iterable[When], attribute: str) -> bool:
    return any(each.attribute == attribute for each in when)
