"""For any operations, memory and DynamoDB return the same results and store the same rows."""

import asyncio
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from libs.common.aws.clients import Aws
from libs.common.store.dynamodb import DynamoStore
from libs.common.store.memory import MemoryStore
from libs.common.store.ops import (
    Check,
    Delete,
    Insert,
    Op,
    Put,
    Query,
    Store,
    TransactionConflict,
    Update,
    When,
)
from tests.kit.tables import NOTES, create, fresh_tables

TABLE = list(fresh_tables())[1]
KEYS = [{"owner": owner, "at": at} for owner in ("ada", "bob") for at in ("1", "2", "3")]
NAMES = ("n", "kind", "it's", "size")

values = some.one_of(
    some.integers(-3, 3),
    some.sampled_from([0.5, 2.0, "", "a", "odd", True, False]),
    some.lists(some.none(), max_size=2),
)
compared = some.one_of(some.integers(-3, 3), some.sampled_from(["", "a", "odd"]))
whens = some.lists(
    some.one_of(
        some.builds(When, some.sampled_from(NAMES), some.sampled_from(["=", "<>"]), values),
        some.builds(When, some.sampled_from(NAMES), some.sampled_from(["<", "<=", ">", ">="]), compared),
        some.builds(When, some.sampled_from(NAMES), some.sampled_from(["missing", "present"])),
    ),
    max_size=2,
).map(tuple)
keys = some.sampled_from(KEYS)
# An attribute of an index is a string that is not empty, or absent.
rows = some.fixed_dictionaries(
    {}, optional={"kind": some.sampled_from(["odd", "even"]), **{name: values for name in NAMES if name != "kind"}}
)


def full(kind: Any) -> some.SearchStrategy[Any]:
    return some.builds(lambda key, row: kind(TABLE, {**key, **row}), keys, rows)


removes = some.lists(some.sampled_from(NAMES), max_size=2, unique=True).map(tuple)
updates = some.builds(
    lambda key, row, gone, when: Update(TABLE, key, row, tuple(name for name in gone if name not in row), when),
    keys, rows, removes, whens,
)  # fmt: skip
deletes = some.builds(Delete, some.just(TABLE), keys, whens)
checks = some.builds(Check, some.just(TABLE), keys, whens)
writes = some.one_of(full(Insert), full(Put), updates, updates, deletes)
transactions = some.lists(some.one_of(writes, checks), min_size=1, max_size=3, unique_by=lambda op: str(place(op)))
queries = some.builds(
    Query,
    table=some.just(TABLE),
    hash=some.sampled_from([("owner", "ada"), ("owner", "bob")]),
    sort=some.just("at"),
    between=some.sampled_from([None, ("1", "2"), ("2", "9")]),
    limit=some.integers(1, 3),
    newest_first=some.booleans(),
)
stories = some.lists(some.one_of(writes, writes, transactions, queries), min_size=5, max_size=25)


def place(op: Op) -> tuple[str, str]:
    row = op.row if isinstance(op, Insert | Put) else op.key
    return row["owner"], row["at"]


async def tell(store: Store, scenario: list[Any], name: str) -> list[Any]:
    """Every answer, and the rows at the end. The ``name`` of a story is new, so that its tokens are."""
    answers: list[Any] = []
    for n, part in enumerate(scenario):
        if isinstance(part, Query):
            answers.append(await store.query(part))
        elif isinstance(part, list):
            try:
                answers.append(await store.transact(part, f"{name}-{n}"))
            except TransactionConflict as conflict:
                answers.append(conflict.failed)
        else:
            answers.append(await store.write(part))
    answers += await asyncio.gather(*(store.get(TABLE, key) for key in KEYS))
    for kind in ("odd", "even"):
        page = await store.query(Query(TABLE, ("kind", kind), "by-kind", "at"))
        answers.append(sorted(repr(sorted(row.items())) for row in page.rows))
    return answers


def test_memory_and_dynamodb_agree_on_any_story(emulator: dict[str, str]) -> None:
    @settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(stories)
    def agree(scenario: list[Any]) -> None:
        runner.run(compare(DynamoStore(aws, {TABLE: NOTES}), scenario))

    async def compare(stored: Store, scenario: list[Any]) -> None:
        await asyncio.gather(*(stored.write(Delete(TABLE, key)) for key in KEYS))
        name = uuid4().hex
        assert await tell(stored, scenario, name) == await tell(MemoryStore({TABLE: NOTES}), scenario, name)

    with asyncio.Runner() as runner:
        aws = Aws(environment=emulator)
        runner.run(create(aws, {TABLE: NOTES}))
        try:
            agree()
        finally:
            runner.run(aws.__aexit__(None, None, None))
