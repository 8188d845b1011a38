"""The contract tests of time to live: an expired row is absent for reads and for conditions, although the store still contains it."""

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

    async def test_an_update_changes_no_row_that_has_expired_even_if_its_conditions_hold(self, old: Expiry) -> None:
        """Of items that need not expire, too."""
        for when in ((), (When("expiresAt", "=", PAST),), (When("expiresAt", "<", FUTURE),)):
            refused = await old.store.write(Update(old.guests, {"id": "ada", "at": "now"}, {"n": 1}, when=when))
            assert (refused.ok, refused.row) == (False, None)
            with pytest.raises(TransactionConflict):
                await old.store.transact([Update(old.guests, {"id": "ada", "at": "now"}, {"n": 1}, when=when)], "t4")
        assert await old.bare.get(old.guests, {"id": "ada", "at": "now"}) == {
            "id": "ada",
            "at": "now",
            "expiresAt": PAST,
        }

    async def test_a_row_without_a_time_to_live_is_changed_and_seen_by_conditions(self, old: Expiry) -> None:
        key = {"id": "eve", "at": "now"}
        for table in (old.guests, old.visits):
            assert await old.store.write(Insert(table, {**key, "count": 0}))
        for table, name in ((old.guests, key), (old.visits, {"id": "eve"})):
            assert await old.store.write(Update(table, name, {"count": 1}, when=(When("count", "=", 0),)))
            refused = await old.store.write(Update(table, name, {"count": 2}, when=(When("count", "=", 0),)))
            assert (refused.ok, refused.row) == (False, {**key, "count": 1})
        await old.store.transact(
            [Update(old.guests, key, {"count": 2}), Check(old.visits, {"id": "eve"}, (When("count", "=", 1),))], "t5"
        )
        assert await old.store.get(old.guests, key) == {**key, "count": 2}
        with pytest.raises(TransactionConflict) as refusal:
            await old.store.transact(
                [Check(old.guests, key), Check(old.visits, {"id": "eve"}, (When("count", "=", 2),))], "t6"
            )
        assert refusal.value.failed == [1]

    async def test_a_row_that_never_was_and_one_that_has_expired_are_both_missing_for_a_check(
        self, old: Expiry
    ) -> None:
        for id in ("ada", "nobody"):
            missing = Check(old.visits, {"id": id}, (When("id", "missing"),))
            await old.store.transact([missing, Put(old.guests, {"id": id, "at": "checked"})], f"t7{id}")
            assert await old.store.get(old.guests, {"id": id, "at": "checked"}) is not None
            for when in ((When("count", "missing"), When("id", "present")), (When("count", "=", 7),)):
                with pytest.raises(TransactionConflict):
                    await old.store.transact([Check(old.visits, {"id": id}, when)], f"t8{id}")
        await old.store.write(Insert(old.visits, {"id": "bob", "count": 1, "expiresAt": FUTURE}))
        with pytest.raises(TransactionConflict):
            await old.store.transact([Check(old.visits, {"id": "bob"}, (When("id", "missing"),))], "t9")

    async def test_a_transaction_deletes_an_expired_row_whatever_its_conditions(self, old: Expiry) -> None:
        await old.store.transact(
            [
                Delete(old.visits, {"id": "ada"}, (When("count", "=", 1),)),
                Insert(old.guests, {"id": "bob", "at": "now"}),
            ],
            "t10",
        )
        assert await old.store.get(old.guests, {"id": "bob", "at": "now"}) is not None

    async def test_an_insert_over_an_expired_row_keeps_nothing_of_it(self, old: Expiry) -> None:
        await old.bare.write(Put(old.visits, {"id": "cy", "count": 7, "city": "Rome", "expiresAt": PAST}))
        assert await old.store.write(Insert(old.visits, {"id": "cy", "expiresAt": FUTURE}))
        assert await old.bare.get(old.visits, {"id": "cy"}) == {"id": "cy", "expiresAt": FUTURE}
