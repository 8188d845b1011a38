"""The contract tests of a store. A subclass provides ``sitting``: the store and the names of its two tables (``tables.py``)."""

import asyncio
import functools
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from libs.common.store import ops
from libs.common.store.ops import (
    BadCursor,
    Check,
    Delete,
    Insert,
    Put,
    Query,
    RowRefused,
    Store,
    TransactionConflict,
    Update,
    When,
)
from tests.kit.tables import Person


@dataclass
class Sitting:
    store: Store
    people: str
    notes: str
    #: Another process's store on the same rows.
    open: Callable[[], Store]

    def another(self) -> "Sitting":
        return replace(self, store=self.open())

    async def person(self, id: str) -> dict[str, Any] | None:
        return await self.store.get(self.people, {"id": id})

    async def add(self, **row: Any) -> None:
        assert await self.store.write(Insert(self.people, row))


ADA = {"id": "ada"}
#: One level more than DynamoDB takes.
NESTED: dict[str, Any] = functools.reduce(lambda inner, _: {"in": inner}, range(31), {"in": "x"})
AWKWARD = {
    "id": "ada", "text": "it's \"quoted\" ✓", "empty": "", "yes": True, "no": False, "whole": 10**15, "negative": -7,
    "part": 0.1, "tiny": 1e-9, "nothing": None, "list": [1, "two", None, [3.5]], "map": {"a'b\"c": {"deep": []}},
    "select": "a reserved word", "two words": 1, "it's": 2, 'say "x"': 3, "dotted.name": 4,
}  # fmt: skip


class StoreExam:
    # --- one row

    async def test_what_is_written_is_read_back_unchanged(self, sitting: Sitting) -> None:
        await sitting.add(**AWKWARD)
        row = await sitting.person("ada")
        assert row == AWKWARD
        assert {name: type(value) for name, value in row.items()} == {n: type(v) for n, v in AWKWARD.items()}

    async def test_a_row_that_is_not_there_is_none(self, sitting: Sitting) -> None:
        assert await sitting.person("nobody") is None

    async def test_a_row_that_was_handed_out_is_the_callers_own(self, sitting: Sitting) -> None:
        mine: dict[str, Any] = {"id": "ada", "tags": ["a"]}
        await sitting.add(**mine)
        mine["tags"].append("b")
        read = await sitting.person("ada")
        assert read == {"id": "ada", "tags": ["a"]}
        read["tags"].append("c")
        assert await sitting.person("ada") == {"id": "ada", "tags": ["a"]}

    async def test_what_dynamodb_cannot_hold_is_refused(self, sitting: Sitting) -> None:
        with pytest.raises(TypeError):
            await sitting.store.write(Insert(sitting.people, {"id": "ada", "at": object()}))
        with pytest.raises(ValueError, match="nan"):
            await sitting.store.write(Put(sitting.people, {"id": "ada", "part": float("nan")}))
        assert await sitting.person("ada") is None

    @pytest.mark.parametrize("more", [{"text": "é" * 205_000}, {"deep": NESTED}], ids=["too large", "too deep"])
    async def test_a_row_that_no_table_takes_is_refused_by_name_and_alone(
        self, sitting: Sitting, more: dict[str, Any]
    ) -> None:
        await sitting.add(id="ada", n=1)
        tried = [
            sitting.store.write(Insert(sitting.people, {"id": "bob", **more})),
            sitting.store.write(Put(sitting.people, {"id": "cy", **more})),
            sitting.store.write(Update(sitting.people, {"id": "ada"}, {"n": 2, **more})),
            sitting.store.transact(
                [Update(sitting.people, {"id": "ada"}, {"n": 3}), Insert(sitting.people, {"id": "dan", **more})],
                "token",
            ),
        ]
        fine = sitting.store.write(Insert(sitting.people, {"id": "eve"}))
        *refused, good = await asyncio.gather(*tried, fine, return_exceptions=True)
        assert [type(each) for each in refused] == [RowRefused] * 4
        assert good
        assert await sitting.person("ada") == {"id": "ada", "n": 1}
        assert [await sitting.person(id) for id in ("bob", "cy", "dan")] == [None] * 3

    async def test_the_largest_and_the_deepest_row_are_kept(self, sitting: Sitting) -> None:
        assert await sitting.store.write(Insert(sitting.people, {"id": "ada", "text": "x" * 409_000}))
        assert await sitting.store.write(Insert(sitting.people, {"id": "bob", "deep": NESTED["in"]}))
        assert await sitting.person("bob") == {"id": "bob", "deep": NESTED["in"]}

    async def test_an_insert_onto_an_existing_key_is_refused_and_shows_the_row_that_stands_there(
        self, sitting: Sitting
    ) -> None:
        await sitting.add(id="ada", name="first")
        written = await sitting.store.write(Insert(sitting.people, {"id": "ada", "name": "second"}))
        assert not written
        assert written.row == {"id": "ada", "name": "first"}
        assert await sitting.person("ada") == {"id": "ada", "name": "first"}

    async def test_the_same_insert_a_second_time_is_refused(self, sitting: Sitting) -> None:
        same = Insert(sitting.people, {"id": "ada"})
        assert await sitting.store.write(same)
        assert not await sitting.store.write(same)

    async def test_a_put_replaces_the_whole_row(self, sitting: Sitting) -> None:
        await sitting.add(id="ada", name="first", city="Paris")
        assert await sitting.store.write(Put(sitting.people, {"id": "ada", "name": "second"}))
        assert await sitting.person("ada") == {"id": "ada", "name": "second"}

    async def test_an_update_sets_and_removes_and_leaves_the_rest(self, sitting: Sitting) -> None:
        await sitting.add(id="ada", name="Ada", city="Paris", old=1)
        change = Update(sitting.people, ADA, {"city": "Rome", "new": [1]}, remove=("old", "never-there"))
        assert await sitting.store.write(change)
        assert await sitting.person("ada") == {"id": "ada", "name": "Ada", "city": "Rome", "new": [1]}

    async def test_an_update_may_set_nothing(self, sitting: Sitting) -> None:
        await sitting.add(id="ada", old=1)
        assert await sitting.store.write(Update(sitting.people, ADA, {}, remove=("old",)))
        assert await sitting.person("ada") == ADA

    async def test_an_update_of_an_absent_row_is_refused_and_shows_nothing(self, sitting: Sitting) -> None:
        for when in ((), (When("name", "missing"),)):
            written = await sitting.store.write(Update(sitting.people, ADA, {"name": "Ada"}, when=when))
            assert not written
            assert written.row is None
        assert await sitting.person("ada") is None

    @pytest.mark.parametrize(
        ("when", "holds"),
        [
            (When("n", "=", 3), True), (When("n", "=", 3.0), True), (When("n", "=", 4), False), (When("n", "=", "3"), False),
            (When("n", "<>", 4), True), (When("n", "<>", 3), False), (When("n", "<>", "3"), True),
            (When("n", "<", 4), True), (When("n", "<", 3), False), (When("n", "<=", 3), True), (When("n", "<=", 2), False),
            (When("n", ">", 2.5), True), (When("n", ">", 3), False), (When("n", ">=", 3), True), (When("n", ">=", 10), False),
            (When("n", "<", "4"), False), (When("n", "present"), True), (When("n", "missing"), False),
            (When("s", "=", "b"), True), (When("s", "<", "c"), True), (When("s", ">", "B"), True), (When("s", ">", "é"), False),
            (When("yes", "=", True), True), (When("yes", "=", False), False), (When("yes", "=", 1), False),
            (When("gone", "=", 1), False), (When("gone", "<>", 1), False), (When("gone", "<", 1), False),
            (When("gone", "missing"), True), (When("gone", "present"), False),
        ],
    )  # fmt: skip
    async def test_a_condition_compares_as_the_contract_says(self, sitting: Sitting, when: When, holds: bool) -> None:
        row = {"id": "ada", "n": 3, "s": "b", "yes": True}
        await sitting.add(**row)
        written = await sitting.store.write(Update(sitting.people, ADA, {"n": 100}, when=(When("id", "present"), when)))
        assert written.ok is holds
        assert written.row == (None if holds else row)
        assert await sitting.person("ada") == (row | {"n": 100} if holds else row)

    async def test_a_condition_holds_inside_a_transaction_as_it_does_outside(self, sitting: Sitting) -> None:
        await sitting.add(id="ada", n=3)
        for when in (When("gone", "<>", 1), When("gone", "present"), When("n", "<", "4"), When("n", "missing")):
            with pytest.raises(TransactionConflict):
                await sitting.store.transact([Check(sitting.people, ADA, (when,))], "token")
        for when in (When("gone", "missing"), When("n", "<>", 4), When("n", "present")):
            await sitting.store.transact([Check(sitting.people, ADA, (when,))], "token")

    async def test_a_delete_removes_and_may_be_repeated(self, sitting: Sitting) -> None:
        await sitting.add(**ADA)
        for _ in range(2):
            assert await sitting.store.write(Delete(sitting.people, ADA))
            assert await sitting.store.write(Delete(sitting.people, ADA, (When("n", "=", 1),)))
        assert await sitting.person("ada") is None

    async def test_a_delete_whose_condition_fails_is_refused_and_shows_the_row(self, sitting: Sitting) -> None:
        await sitting.add(id="ada", n=1)
        written = await sitting.store.write(Delete(sitting.people, ADA, (When("n", "=", 2),)))
        assert not written
        assert written.row == {"id": "ada", "n": 1}
        assert await sitting.store.write(Delete(sitting.people, ADA, (When("n", "=", 1), When("x", "missing"))))
        assert await sitting.person("ada") is None

    async def test_a_row_is_named_by_both_parts_of_its_key(self, sitting: Sitting) -> None:
        for at in ("1", "2"):
            assert await sitting.store.write(Insert(sitting.notes, {"owner": "ada", "at": at, "n": 0}))
        change = Update(sitting.notes, {"at": "2", "owner": "ada"}, {"n": 5}, when=(When("n", "=", 0),))
        assert await sitting.store.write(change)
        assert await sitting.store.get(sitting.notes, {"at": "1", "owner": "ada"}) == {
            "owner": "ada",
            "at": "1",
            "n": 0,
        }
        assert await sitting.store.get(sitting.notes, {"at": "2", "owner": "ada"}) == {
            "owner": "ada",
            "at": "2",
            "n": 5,
        }

    # --- many at once

    async def test_hundreds_of_writes_and_reads_at_once_each_get_their_own_answer(self, sitting: Sitting) -> None:
        await sitting.add(id="7", n="there before")
        inserts = [Insert(sitting.people, {"id": str(n), "n": n}) for n in range(130)]
        written = await asyncio.gather(*(sitting.store.write(op) for op in inserts))
        assert [n for n, each in enumerate(written) if not each] == [7]
        assert written[7].row == {"id": "7", "n": "there before"}
        rows = await asyncio.gather(*(sitting.person(str(n)) for n in [*range(130), 3, 3, 999]))
        assert [row and row["n"] for row in rows] == [*range(7), "there before", *range(8, 130), 3, 3, None]

    async def test_of_many_inserts_of_one_key_one_wins(self, sitting: Sitting) -> None:
        inserts = [Insert(sitting.people, {"id": "ada", "n": n}) for n in range(30)]
        written = await asyncio.gather(*(sitting.store.write(op) for op in inserts))
        (winner,) = [n for n, each in enumerate(written) if each]
        assert await sitting.person("ada") == {"id": "ada", "n": winner}
        assert all(each or each.row == {"id": "ada", "n": winner} for each in written)

    async def test_one_bad_row_does_not_take_its_company_with_it(self, sitting: Sitting) -> None:
        ops = [Insert(sitting.people, {"id": "good"}), Insert(sitting.people, {"id": "bad", "x": "x" * 500_000})]
        good, bad = await asyncio.gather(*(sitting.store.write(op) for op in ops), return_exceptions=True)
        assert not isinstance(good, BaseException)
        assert good.ok
        if isinstance(bad, BaseException):  # memory has room
            assert await sitting.person("bad") is None
        assert await sitting.person("good") == {"id": "good"}

    async def test_fifty_writers_of_one_row_lose_no_update(self, sitting: Sitting) -> None:
        await sitting.store.write(ops.insert(sitting.people, Person(id="ada")))
        await asyncio.gather(*(add_one(sitting.another()) for _ in range(50)))
        row = await sitting.person("ada")
        assert row is not None
        assert (row["count"], row["version"]) == (50, 50)

    async def test_writers_of_one_row_that_share_a_store_lose_no_update(self, sitting: Sitting) -> None:
        await sitting.store.write(ops.insert(sitting.people, Person(id="ada")))
        await asyncio.gather(*(add_one(sitting) for _ in range(12)))
        row = await sitting.person("ada")
        assert row is not None
        assert (row["count"], row["version"]) == (12, 12)

    async def test_a_replacement_removes_what_the_item_no_longer_has(self, sitting: Sitting) -> None:
        await sitting.store.write(ops.insert(sitting.people, Person(id="ada", city="Paris")))
        stale = Person(id="ada", city="Oslo")
        assert await sitting.store.write(ops.replace(sitting.people, Person(id="ada")))
        assert not await sitting.store.write(ops.replace(sitting.people, stale))
        assert await sitting.person("ada") == {"id": "ada", "name": "Ada", "count": 0, "version": 1}

    # --- transactions

    async def test_a_transaction_does_everything(self, sitting: Sitting) -> None:
        for id in ("change", "remove", "replace", "watch"):
            await sitting.add(id=id, n=1, old=1)
        one = (When("n", "=", 1),)
        await sitting.store.transact(
            [
                Insert(sitting.people, {"id": "new", "n": 0}),
                Put(sitting.people, {"id": "replace", "n": 2}),
                Update(sitting.people, {"id": "change"}, {"n": 2}, ("old",), one),
                Delete(sitting.people, {"id": "remove"}, one),
                Delete(sitting.people, {"id": "gone already"}, one),
                Check(sitting.people, {"id": "watch"}, one),
                Check(sitting.people, {"id": "absent"}, (When("id", "missing"),)),
                Insert(sitting.notes, {"owner": "ada", "at": "1"}),
            ],
            "token",
        )
        rows = [await sitting.person(id) for id in ("new", "replace", "change", "remove", "watch")]
        assert rows == [
            {"id": "new", "n": 0}, {"id": "replace", "n": 2}, {"id": "change", "n": 2}, None,
            {"id": "watch", "n": 1, "old": 1},
        ]  # fmt: skip
        assert await sitting.store.get(sitting.notes, {"owner": "ada", "at": "1"}) == {"owner": "ada", "at": "1"}

    async def test_a_refused_transaction_names_who_refused_and_does_nothing(self, sitting: Sitting) -> None:
        await sitting.add(id="there", n=1)
        operations = [
            Insert(sitting.people, {"id": "new"}),
            Insert(sitting.people, {"id": "there"}),
            Update(sitting.people, {"id": "absent"}, {"n": 1}),
            Check(sitting.people, {"id": "absent too"}),
            Put(sitting.people, {"id": "put"}),
        ]
        with pytest.raises(TransactionConflict) as refusal:
            await sitting.store.transact(operations, "token")
        assert refusal.value.failed == [1, 2, 3]
        assert await sitting.person("new") is None
        assert await sitting.person("put") is None
        assert await sitting.person("there") == {"id": "there", "n": 1}

    async def test_a_repeated_transaction_is_harmless(self, sitting: Sitting) -> None:
        await sitting.add(id="ada", version=0, count=0)
        operations = [
            Insert(sitting.people, {"id": "ledger"}),
            Update(sitting.people, ADA, {"version": 1, "count": 1}, when=(When("version", "=", 0),)),
        ]
        for _ in range(3):
            await sitting.store.transact(operations, "token")
        assert await sitting.person("ada") == {"id": "ada", "version": 1, "count": 1}

    async def test_a_rerun_that_came_to_something_else_is_judged_by_its_conditions(self, sitting: Sitting) -> None:
        await sitting.store.transact([Insert(sitting.people, {"id": "ledger", "said": 1})], "token")
        with pytest.raises(TransactionConflict) as refusal:
            await sitting.store.transact([Insert(sitting.people, {"id": "ledger", "said": 2})], "token")
        assert refusal.value.failed == [0]
        await sitting.store.transact([Insert(sitting.people, {"id": "another", "said": 2})], "token")
        assert await sitting.person("ledger") == {"id": "ledger", "said": 1}

    async def test_a_transaction_that_was_refused_may_succeed_later(self, sitting: Sitting) -> None:
        operations = [Update(sitting.people, ADA, {"n": 1})]
        with pytest.raises(TransactionConflict):
            await sitting.store.transact(operations, "token")
        await sitting.add(id="ada", n=0)
        await sitting.store.transact(operations, "token")
        assert await sitting.person("ada") == {"id": "ada", "n": 1}

    async def test_a_transaction_touches_each_row_once_and_is_not_empty(self, sitting: Sitting) -> None:
        for operations in ([Put(sitting.people, ADA), Check(sitting.people, ADA)], []):
            with pytest.raises(ValueError, match="transaction"):
                await sitting.store.transact(operations, "token")

    async def test_of_many_transactions_on_one_row_one_wins(self, sitting: Sitting) -> None:
        await sitting.add(id="ada", version=0)

        async def attempt(n: int) -> int | None:
            change = Update(sitting.people, ADA, {"version": 1, "by": n}, when=(When("version", "=", 0),))
            try:
                await sitting.store.transact([change, Insert(sitting.people, {"id": f"ledger-{n}"})], f"token-{n}")
            except TransactionConflict:
                return None
            return n

        (winner,) = [n for n in await asyncio.gather(*map(attempt, range(20))) if n is not None]
        ledgers = [n for n in range(20) if await sitting.person(f"ledger-{n}")]
        assert ledgers == [winner]
        assert await sitting.person("ada") == {"id": "ada", "version": 1, "by": winner}

    # --- queries

    async def test_a_query_walks_one_hash_in_order_page_by_page(self, sitting: Sitting) -> None:
        await fill(sitting)
        query = Query(sitting.notes, ("owner", "ada"), sort="at", limit=4)
        assert await pages(sitting, query) == [["00", "01", "02", "03"], ["04", "05", "06", "07"], ["08", "09"]]
        newest = replace(query, newest_first=True)
        assert await pages(sitting, newest) == [["09", "08", "07", "06"], ["05", "04", "03", "02"], ["01", "00"]]

    async def test_the_last_page_knows_that_it_is_the_last(self, sitting: Sitting) -> None:
        await fill(sitting)
        query = Query(sitting.notes, ("owner", "ada"), sort="at", limit=10)
        assert [len(page) for page in await pages(sitting, query)] == [10]
        assert await pages(sitting, replace(query, hash=("owner", "nobody"))) == [[]]

    async def test_a_query_is_narrowed_by_prefix_or_by_range(self, sitting: Sitting) -> None:
        await fill(sitting)
        query = Query(sitting.notes, ("owner", "ada"), sort="at")
        assert await pages(sitting, replace(query, between=("02", "04"))) == [["02", "03", "04"]]
        assert await pages(sitting, replace(query, prefix="0", limit=6)) == [
            [f"0{n}" for n in range(6)],
            ["06", "07", "08", "09"],
        ]
        assert await pages(sitting, replace(query, prefix="1")) == [[]]
        assert await pages(sitting, replace(query, prefix="")) == [[f"0{n}" for n in range(10)]]

    async def test_an_index_of_whole_rows_gives_whole_rows(self, sitting: Sitting) -> None:
        await fill(sitting)
        query = Query(sitting.notes, ("kind", "odd"), index="by-kind", sort="at", limit=3)
        assert await pages(sitting, query) == [["01", "03", "05"], ["07", "09"]]
        first = (await sitting.store.query(query)).rows[0]
        assert first == {"owner": "ada", "at": "01", "kind": "odd", "n": 1}
        await sitting.store.write(Update(sitting.notes, {"owner": "ada", "at": "01"}, {"kind": "even"}))
        assert await pages(sitting, query) == [["03", "05", "07"], ["09"]]

    async def test_an_index_of_keys_gives_keys_and_holds_only_rows_that_have_them(self, sitting: Sitting) -> None:
        for n in range(5):
            await sitting.add(id=str(n), city="Rome", name=f"n{n}", more=1)
        await sitting.add(id="no-city", name="x")
        await sitting.add(id="no-name", city="Rome")
        query = Query(sitting.people, ("city", "Rome"), index="by-city", sort="name", limit=3, newest_first=True)
        page = await sitting.store.query(query)
        assert page.rows == [{"id": str(n), "city": "Rome", "name": f"n{n}"} for n in (4, 3, 2)]
        page = await sitting.store.query(replace(query, cursor=page.cursor))
        assert [row["id"] for row in page.rows] == ["1", "0"]
        assert page.cursor is None
        await sitting.store.write(Update(sitting.people, {"id": "3"}, {}, remove=("city",)))
        assert [row["id"] for row in (await sitting.store.query(replace(query, limit=9))).rows] == ["4", "2", "1", "0"]

    async def test_rows_of_one_index_key_are_each_shown_once_across_pages(self, sitting: Sitting) -> None:
        for n in range(9):
            await sitting.add(id=str(n), city="Rome", name="same")
        query = Query(sitting.people, ("city", "Rome"), index="by-city", sort="name", limit=2)
        seen = []
        while True:
            page = await sitting.store.query(query)
            seen += [row["id"] for row in page.rows]
            if page.cursor is None:
                break
            query = replace(query, cursor=page.cursor)
        assert sorted(seen) == [str(n) for n in range(9)]

    async def test_a_cursor_of_another_query_or_of_nobody_is_refused(self, sitting: Sitting) -> None:
        await fill(sitting)
        query = Query(sitting.notes, ("owner", "ada"), sort="at", limit=2)
        cursor = (await sitting.store.query(query)).cursor
        assert cursor is not None
        assert cursor.isascii()
        assert not set(cursor) & set("+/= ")
        others = [
            replace(query, hash=("owner", "bob"), cursor=cursor),
            replace(query, newest_first=True, cursor=cursor),
            replace(query, prefix="0", cursor=cursor),
            replace(query, cursor=cursor[:-3]),
            replace(query, cursor="é"),
            replace(query, cursor="bnVsbA"),
            replace(query, cursor=""),
        ]
        for other in others:
            with pytest.raises(BadCursor):
                await sitting.store.query(other)
        assert (await sitting.store.query(replace(query, limit=5, cursor=cursor))).rows[0]["at"] == "02"

    async def test_a_range_without_a_sort_key_is_a_mistake(self, sitting: Sitting) -> None:
        with pytest.raises(ValueError, match="sort"):
            await sitting.store.query(Query(sitting.notes, ("owner", "ada"), prefix="x"))


async def add_one(sitting: Sitting, id: str = "ada") -> int:
    """Read, add one, replace; again until it holds, after a random pause. Returns how often it met another."""
    met = 0
    while True:
        row = await sitting.person(id)
        assert row is not None
        person = Person.from_row(row)
        changed = person.model_copy(update={"count": person.count + 1})
        if await sitting.store.write(ops.replace(sitting.people, changed)):
            return met
        met += 1
        await asyncio.sleep(random.uniform(0, min(0.4, 0.02 * 2**met)))


async def fill(sitting: Sitting) -> None:
    rows = [
        {"owner": owner, "at": f"{n:02}", "kind": ("even", "odd")[n % 2], "n": n}
        for n in range(10)
        for owner in (("ada", "bob") if n < 1 else ("ada",))
    ]
    assert all(await asyncio.gather(*(sitting.store.write(Insert(sitting.notes, row)) for row in rows)))


async def pages(sitting: Sitting, query: Query) -> list[list[str]]:
    """The sort keys, page by page."""
    found = []
    while True:
        page = await sitting.store.query(query)
        found.append([row["at"] for row in page.rows])
        if page.cursor is None:
            return found
        query = replace(query, cursor=page.cursor)
