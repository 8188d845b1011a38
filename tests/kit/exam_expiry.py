"""The exam about time to live: a row past it is absent for reads and for conditions, though the store still holds it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from libs.common.store.expiring import ExpiringStore
from libs.common.store.ops import Check, Delete, Insert, Put, Query, Store, TransactionConflict, Update, When

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAST, FUTURE = int(NOW.timestamp()) - 1, int(NOW.timestamp()) + 60


@dataclass
class Expiry:
    """``bare`` is the store below, which holds expired rows."""

    store: ExpiringStore
    bare: Store
    visits: str
    guests: str


async def with_expired_rows(expiry: Expiry) -> Expiry:
    await expiry.bare.write(Put(expiry.visits, {"id": "ada", "count": 7, "expiresAt": PAST}))
    await expiry.bare.write(Put(expiry.guests, {"id": "ada", "at": "now", "expiresAt": PAST}))
    return expiry


class ExpiryExam:
    @pytest.fixture
    async def old(self, expiry: Expiry) -> Expiry:
        return await with_expired_rows(expiry)

    async def test_an_expired_row_is_not_read(self, old: Expiry) -> None:
        assert await old.store.get(old.visits, {"id": "ada"}) is None
        assert (await old.store.query(Query(old.guests, ("id", "ada"), sort="at"))).rows == []

    async def test_an_expired_row_gives_way_to_an_insert(self, old: Expiry) -> None:
        assert await old.store.write(Insert(old.visits, {"id": "ada", "count": 1, "expiresAt": FUTURE}))
        assert (await old.store.get(old.visits, {"id": "ada"}) or {})["count"] == 1
        assert await old.store.write(Insert(old.guests, {"id": "ada", "at": "now"}))
        assert not await old.store.write(Insert(old.guests, {"id": "ada", "at": "now"}))

    async def test_a_row_that_has_not_expired_does_not(self, old: Expiry) -> None:
        row = {"id": "bob", "count": 1, "expiresAt": FUTURE}
        assert await old.store.write(Insert(old.visits, row))
        refused = await old.store.write(Insert(old.visits, {**row, "count": 2}))
        assert (refused.ok, refused.row) == (False, row)

    async def test_an_update_of_an_expired_row_is_one_of_an_absent_row(self, old: Expiry) -> None:
        refused = await old.store.write(Update(old.visits, {"id": "ada"}, {"count": 8}))
        assert (refused.ok, refused.row) == (False, None)
        refused = await old.store.write(
            Update(old.guests, {"id": "ada", "at": "now"}, {}, when=(When("at", "=", "x"),))
        )
        assert (refused.ok, refused.row) == (False, None)
        assert await old.store.write(Delete(old.visits, {"id": "ada"}, (When("count", "=", 1),)))

    async def test_a_transaction_inserts_over_expired_rows(self, old: Expiry) -> None:
        inserts = [
            Insert(old.visits, {"id": "ada", "count": 1, "expiresAt": FUTURE}),
            Insert(old.guests, {"id": "ada", "at": "now"}),
        ]
        await old.store.transact(inserts, "t1")
        assert (await old.store.get(old.visits, {"id": "ada"}) or {})["count"] == 1
        with pytest.raises(TransactionConflict):
            await old.store.transact(inserts, "t2")

    async def test_a_transaction_is_refused_where_it_needs_an_expired_row(self, old: Expiry) -> None:
        other = Insert(old.guests, {"id": "eve", "at": "now"})
        for op in (Check(old.visits, {"id": "ada"}), Update(old.visits, {"id": "ada"}, {"count": 2})):
            with pytest.raises(TransactionConflict):
                await old.store.transact([other, op], "t3")
        assert await old.store.get(old.guests, {"id": "eve", "at": "now"}) is None

    async def test_of_two_who_insert_over_an_expired_row_one_succeeds(self, old: Expiry) -> None:
        rows = [Insert(old.visits, {"id": "ada", "count": n, "expiresAt": FUTURE}) for n in range(5)]
        assert sum(map(bool, await asyncio.gather(*map(old.store.write, rows)))) == 1
