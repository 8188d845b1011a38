"""Faults of the network and of DynamoDB: lost answers, partial failures, throttling."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from botocore.exceptions import ClientError

from libs.common.aws.clients import Aws
from libs.common.store import ops
from libs.common.store.dynamodb import DynamoStore
from libs.common.store.expiring import ExpiringStore
from libs.common.store.ops import Check, Delete, Insert, Put, Query, TransactionConflict, Update, When
from libs.common.store.persist import MAX_ATTEMPTS
from libs.common.testing.fault_proxy import FaultProxy, Rule
from tests.kit.expiry_contract import FUTURE, NOW, PAST
from tests.kit.store_contract import Sitting, add_one, fill, pages
from tests.kit.tables import Person, SendRequest, create, fresh_tables

Open = Callable[..., Awaitable[tuple[Sitting, FaultProxy]]]
WRITES = "BatchExecuteStatement"


@pytest.fixture
async def through(emulator: dict[str, str]) -> AsyncIterator[Open]:
    """Opens a store whose every request passes a proxy with these rules; a second one sees the same tables."""
    tables = fresh_tables()
    made = False
    async with AsyncExitStack() as stack:

        async def open(*rules: Rule, seed: int = 1) -> tuple[Sitting, FaultProxy]:
            nonlocal made
            if not made:
                async with Aws(environment=emulator) as straight:
                    await create(straight, tables)
                made = True
            proxy = await stack.enter_async_context(FaultProxy(emulator["AWS_ENDPOINT_URL"], rules, seed))
            aws = await stack.enter_async_context(Aws(environment={**emulator, "AWS_ENDPOINT_URL": proxy.url}))
            return Sitting(DynamoStore(aws, tables), *tables, open=lambda: DynamoStore(aws, tables)), proxy

        yield open


@pytest.mark.parametrize("fault", ["lost", "truncated", "twice"])
async def test_a_write_whose_answer_is_lost_recognises_its_own_effect(through: Open, fault: str) -> None:
    sitting, proxy = await through(Rule(fault, operation=WRITES, nth=(1, 2, 3)))  # type: ignore[arg-type]
    assert await sitting.store.write(Insert(sitting.people, {"id": "ada", "n": 0}))
    assert await sitting.store.write(Update(sitting.people, {"id": "ada"}, {"n": 1}, when=(When("n", "=", 0),)))
    assert await sitting.store.write(Delete(sitting.people, {"id": "ada"}, (When("n", "=", 1),)))
    assert proxy.faults[fault, WRITES] == 3
    assert await sitting.person("ada") is None


async def test_a_write_of_somebody_else_is_not_mistaken_for_ones_own(through: Open) -> None:
    other, _ = await through()
    await other.add(id="ada", n=5)
    sitting, _ = await through(Rule("lost", operation=WRITES, nth=(1, 3)))
    written = await sitting.store.write(Insert(sitting.people, {"id": "ada", "n": 5}))
    assert not written
    assert written.row == {"id": "ada", "n": 5}
    assert not await sitting.store.write(Update(sitting.people, {"id": "ada"}, {"n": 6}, when=(When("n", "<", 5),)))


async def test_a_write_is_recognised_even_if_others_wrote_after_it(through: Open) -> None:
    sitting, proxy = await through(
        Rule("lost", operation=WRITES, nth=(2,)), Rule("delay", operation=WRITES, nth=(2,), seconds=0.1)
    )
    other, _ = await through()
    await sitting.store.write(ops.insert(sitting.people, Person(id="ada")))
    mine = asyncio.create_task(sitting.store.write(ops.replace(sitting.people, Person(id="ada", count=1))))
    while not proxy.faults["lost", WRITES]:  # noqa: ASYNC110 - the proxy has no event for this
        await asyncio.sleep(0.001)
    for _ in range(5):
        await add_one(other)
    assert await mine
    row = await other.person("ada")
    assert row is not None
    assert (row["count"], row["version"]) == (6, 6)


async def test_the_marks_of_writes_are_never_shown(through: Open, emulator: dict[str, str]) -> None:
    sitting, _ = await through()
    note = {"owner": "ada", "at": "1", "kind": "odd"}
    await sitting.store.write(Insert(sitting.notes, note))
    assert (await sitting.store.query(Query(sitting.notes, ("owner", "ada")))).rows == [note]
    assert (await sitting.store.query(Query(sitting.notes, ("kind", "odd"), "by-kind", "at"))).rows == [note]
    assert (await sitting.store.write(Insert(sitting.notes, note))).row == note
    assert (
        await sitting.store.write(Update(sitting.notes, {"owner": "ada", "at": "1"}, {}, when=(When("x", "present"),)))
    ).row == note
    async with Aws(environment=emulator) as aws:
        client = await aws.client("dynamodb")
        raw = await client.get_item(TableName=sitting.notes, Key={"owner": {"S": "ada"}, "at": {"S": "1"}})
    assert [name for name in raw["Item"] if name.startswith("_w")] != []


async def test_r6_with_a_fifth_of_the_answers_lost_nobody_conflicts_with_himself(through: Open) -> None:
    sitting, proxy = await through(Rule("lost", probability=0.2))
    inserted = await asyncio.gather(
        *(sitting.store.write(ops.insert(sitting.people, Person(id=str(n)))) for n in range(200))
    )
    assert all(inserted)
    for expected in range(5):
        conflicts = await asyncio.gather(*(add_one(sitting, str(n)) for n in range(200)))
        assert sum(conflicts) == 0, f"round {expected}"
    rows = await asyncio.gather(*(sitting.person(str(n)) for n in range(200)))
    assert {(row["count"], row["version"]) for row in rows if row} == {(5, 5)}
    assert proxy.faults["lost", WRITES] > 0


async def test_r6_counters_that_two_processes_share_stay_exact_while_answers_are_lost(through: Open) -> None:
    one, _ = await through(Rule("lost", probability=0.2), seed=1)
    two, _ = await through(Rule("lost", probability=0.2), seed=2)
    await one.store.write(ops.insert(one.people, Person(id="ada")))
    await asyncio.gather(*(add_one(sitting) for sitting in (one, two) for _ in range(12)))
    row = await one.person("ada")
    assert row is not None
    assert (row["count"], row["version"]) == (24, 24)


@pytest.mark.parametrize("fault", ["lost", "reset", "truncated", "twice"])
async def test_a_transaction_whose_answer_is_lost_is_done_once(through: Open, fault: str) -> None:
    sitting, proxy = await through(Rule(fault, operation="TransactWriteItems", nth=(1,)))  # type: ignore[arg-type]
    await sitting.add(id="ada", version=0)
    change = Update(sitting.people, {"id": "ada"}, {"version": 1}, when=(When("version", "=", 0),))
    await sitting.store.transact([change, Insert(sitting.people, {"id": "ledger"})], "token")
    assert proxy.faults[fault, "TransactWriteItems"] == 1
    assert await sitting.person("ada") == {"id": "ada", "version": 1}


async def test_a_transaction_is_recognised_when_dynamodb_has_forgotten_its_token(through: Open) -> None:
    sitting, _ = await through()
    operations = [
        Update(sitting.people, {"id": "ada"}, {"n": 1}, when=(When("n", "=", 0),)),
        Check(sitting.people, {"id": "ledger"}, (When("id", "missing"),)),
    ]
    await sitting.add(id="ada", n=0)
    await sitting.store.transact(operations, "token")
    # After a cancellation the next attempt has a token of its own, as unknown to DynamoDB as one from yesterday.
    code = "TransactionCanceledException"
    again, proxy = await through(Rule("error", operation="TransactWriteItems", status=400, code=code, nth=(1,)))
    await again.store.transact(operations, "token")
    assert proxy.calls["dynamodb", "TransactWriteItems"] == 2
    assert await sitting.person("ada") == {"id": "ada", "n": 1}


async def test_r9_what_a_batch_left_undone_is_done_in_the_end_and_only_once(through: Open) -> None:
    sitting, proxy = await through(Rule("partial", share=0.2))
    puts = [Put(sitting.notes, {"owner": "ada", "at": str(n)}) for n in range(60)]
    inserts = [Insert(sitting.people, {"id": str(n), "version": 0}) for n in range(60)]
    assert all(await asyncio.gather(*(sitting.store.write(op) for op in [*puts, *inserts])))
    updates = [
        Update(sitting.people, {"id": str(n)}, {"version": 1}, when=(When("version", "=", 0),)) for n in range(60)
    ]
    assert all(await asyncio.gather(*(sitting.store.write(op) for op in updates)))
    rows = await asyncio.gather(*(sitting.person(str(n)) for n in range(60)))
    assert rows == [{"id": str(n), "version": 1} for n in range(60)]
    assert [
        len(page) for page in await pages(sitting, Query(sitting.notes, ("owner", "ada"), sort="at", limit=60))
    ] == [60]
    assert all(proxy.faults["partial", operation] for operation in (WRITES, "BatchWriteItem", "BatchGetItem"))


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "ThrottlingException"), (400, "ProvisionedThroughputExceededException"), (500, "InternalServerError"), (503, "ServiceUnavailable")],
)  # fmt: skip
async def test_a_passing_error_is_ridden_out(through: Open, status: int, code: str) -> None:
    sitting, proxy = await through(Rule("error", status=status, code=code, nth=(1, 3, 4, 6)))
    await sitting.add(id="ada", n=1)
    assert await sitting.person("ada") == {"id": "ada", "n": 1}
    await sitting.store.transact([Update(sitting.people, {"id": "ada"}, {"n": 2})], "token")
    assert len((await sitting.store.query(Query(sitting.people, ("id", "ada")))).rows) == 1
    assert sum(proxy.faults.values()) == 4


async def test_an_error_that_will_not_pass_is_raised_at_once(through: Open) -> None:
    sitting, proxy = await through(Rule("error", status=400, code="AccessDeniedException"))
    with pytest.raises(ClientError, match="AccessDenied"):
        await sitting.person("ada")
    with pytest.raises(ClientError, match="AccessDenied"):
        await sitting.add(id="ada")
    assert sum(proxy.calls.values()) == 2


async def test_patience_ends_with_the_error_that_stood_in_the_way(through: Open) -> None:
    sitting, proxy = await through(Rule("error", operation="Query", status=400, code="ThrottlingException"))
    with pytest.raises(ClientError, match="Throttling"):
        await sitting.store.query(Query(sitting.people, ("id", "ada")))
    assert proxy.calls["dynamodb", "Query"] == MAX_ATTEMPTS


async def test_reads_and_writes_of_many_callers_share_calls(through: Open) -> None:
    sitting, proxy = await through()
    await fill(sitting)
    keys = [{"owner": "ada", "at": f"{n:02}"} for n in range(10)]
    rows = await asyncio.gather(*(sitting.store.get(sitting.notes, key) for key in keys * 3))
    assert all(rows)
    assert proxy.calls == {("dynamodb", WRITES): 1, ("dynamodb", "BatchGetItem"): 1}


async def test_what_cannot_be_written_or_read_does_not_take_its_company_with_it(through: Open) -> None:
    sitting, _ = await through()
    rows = [{"id": "good"}, {"id": "bad", "at": object()}, {"id": ""}]
    writes = (sitting.store.write(Insert(sitting.people, row)) for row in rows)
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(each).__name__ for each in results] == ["Written", "TypeError", "ClientError"]
    reads = await asyncio.gather(*(sitting.person(id) for id in ("good", "", "none")), return_exceptions=True)
    assert [reads[0], type(reads[1]), reads[2]] == [{"id": "good"}, ClientError, None]


def expiring(sitting: Sitting) -> ExpiringStore:
    """The people's rows have a time to live here."""
    return ExpiringStore(sitting.store, {sitting.people: SendRequest}, lambda: NOW)


async def test_expired_rows_give_way_once_while_a_third_of_the_answers_is_lost(through: Open) -> None:
    (one, proxy), (two, _) = await through(Rule("lost", probability=0.3), seed=1), await through()
    await asyncio.gather(
        *(two.store.write(Put(two.people, {"id": str(n), "by": "nobody", "expiresAt": PAST})) for n in range(40))
    )

    async def insert(sitting: Sitting, by: str, n: int) -> bool:
        row = {"id": str(n), "by": by, "expiresAt": FUTURE}
        if n % 2:
            return bool(await expiring(sitting).write(Insert(sitting.people, row)))
        try:
            await expiring(sitting).transact([Insert(sitting.people, row)], f"{by}{n}")
        except TransactionConflict:
            return False
        return True

    mine = await asyncio.gather(*(insert(one, "one", n) for n in range(40)))
    others = await asyncio.gather(*(insert(two, "two", n) for n in range(40)))
    assert all(mine)
    assert not any(others)
    assert [row and row["by"] for row in await asyncio.gather(*(two.person(str(n)) for n in range(40)))] == ["one"] * 40
    assert proxy.faults["lost", WRITES] > 0
    assert proxy.faults["lost", "TransactWriteItems"] > 0


async def test_where_nothing_has_expired_a_time_to_live_costs_no_call(through: Open) -> None:
    sitting, proxy = await through()
    store, row = expiring(sitting), {"id": "ada", "count": 0, "expiresAt": FUTURE}
    assert await store.write(Insert(sitting.people, row))
    assert await store.write(Update(sitting.people, {"id": "ada"}, {"count": 1}, when=(When("count", "=", 0),)))
    await store.transact([Update(sitting.people, {"id": "ada"}, {"count": 2}, when=(When("count", "=", 1),))], "token")
    assert await store.get(sitting.people, {"id": "ada"}) == {**row, "count": 2}
    assert proxy.calls == {
        ("dynamodb", WRITES): 2, ("dynamodb", "TransactWriteItems"): 1, ("dynamodb", "BatchGetItem"): 1,
    }  # fmt: skip
