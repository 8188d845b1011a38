"""The store in DynamoDB. Reads and writes of many callers share calls; transient faults are retried.

Every attempt of a write carries the same marker. If an answer is lost and the next attempt is refused by a row with that
marker, the first attempt succeeded: a write never conflicts with itself.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from libs.common.aws.batcher import Batcher
from libs.common.aws.clients import Aws
from libs.common.clock import derived_id
from libs.common.store import values
from libs.common.store.item import Key, Row, Table
from libs.common.store.ops import Op, Put, Query, Rows, TransactionConflict, Write, Written
from libs.common.store.partiql import has_nonce, query_request, transact_item
from libs.common.store.persist import Unavailable, is_retryable, is_transient, persist, refusal
from libs.common.store.values import Attributes, from_attributes, key_names
from libs.common.store.writes import Pending, Writer

MAX_BATCH_READS = 100
MAX_BATCH_WRITES = 25
#: Concurrent calls that are not full; sufficient for low load, and one slow call does not block the others.
MAX_CONCURRENT_CALLS = 4


class _ConditionFailed(Unavailable):
    """Whether a transaction failed only by another transaction or by throttling."""


class DynamoStore:
    """``tables`` are the tables by physical name. Usable while ``aws`` is open."""

    def __init__(self, aws: Aws, tables: Mapping[str, Table]) -> None:
        self._aws = aws
        self._tables = tables
        writer = Writer(self._call, self._read)
        self._reads = Batcher(self._read_each, maximum=MAX_BATCH_READS, concurrency=MAX_CONCURRENT_CALLS)
        self._writes = Batcher(
            writer.execute, maximum=MAX_BATCH_WRITES, concurrency=MAX_CONCURRENT_CALLS, key=lambda each: each.row
        )
        self._puts = Batcher(writer.put, maximum=MAX_BATCH_WRITES, concurrency=MAX_CONCURRENT_CALLS)

    async def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        # One attempt: the store retries itself, because botocore waits a second between attempts and ignores partial failures.
        client = await self._aws.client("dynamodb", attempts=1)
        reply: dict[str, Any] = await getattr(client, operation)(**request)
        return reply

    async def drain(self) -> None:
        """Finish pending calls."""
        await asyncio.gather(self._reads.drain(), self._writes.drain(), self._puts.drain())

    async def get(self, table: str, key: Key) -> Row | None:
        found = await self._reads.do((table, key))
        return None if found is None else from_attributes(found)

    async def _read_each(self, wanted: Sequence[tuple[str, Key]]) -> Sequence[Attributes | BaseException | None]:
        try:
            return await self._read(wanted)
        except (ClientError, BotoCoreError) as error:
            if is_retryable(error) or len(wanted) == 1:
                raise
            # A key that DynamoDB refuses (empty, too long) must not fail the others.
            alone = await asyncio.gather(*(self._read([each]) for each in wanted), return_exceptions=True)
            return [each if isinstance(each, BaseException) else each[0] for each in alone]

    async def _read(self, wanted: Sequence[tuple[str, Key]]) -> Sequence[Attributes | None]:
        """BatchGetItem; duplicate keys are requested once."""
        names = {table: key_names(self._tables[table]) for table, _ in wanted}
        ids = [(table, *(key[name] for name in names[table])) for table, key in wanted]
        found: dict[tuple[str, ...], Attributes] = {}
        left = set(ids)

        async def step() -> None:
            tables: dict[str, Any] = defaultdict(lambda: {"Keys": [], "ConsistentRead": True})
            for table, *key in left:
                tables[table]["Keys"].append(values.to_attributes(dict(zip(names[table], key, strict=True))))
            reply = await self._call("batch_get_item", RequestItems=dict(tables))
            for table, rows in reply["Responses"].items():
                found.update({(table, *(row[name]["S"] for name in names[table])): row for row in rows})
            skipped = reply.get("UnprocessedKeys", {})
            left.intersection_update(
                (table, *(key[name]["S"] for name in names[table]))
                for table, part in skipped.items()
                for key in part["Keys"]
            )
            if left:
                raise Unavailable(f"{len(left)} reads")

        await persist(step)
        return [found.get(each) for each in ids]

    async def write(self, op: Write) -> Written:
        writes = self._puts if isinstance(op, Put) else self._writes
        return await writes.do(Pending.of(op, self._tables[op.table]))

    async def transact(self, ops: Sequence[Op], token: str) -> None:
        values.check_transaction(ops, self._tables)
        # The operations are part of the token: a rerun with other operations is a new request, decided by its
        # conditions, where DynamoDB would refuse it for ten minutes (IdempotentParameterMismatch).
        cause = derived_id(token, repr(list(ops)))
        nonce = cause[-12:]
        items = [transact_item(op, nonce, self._tables[op.table]) for op in ops]
        cancelled = 0

        async def step() -> None:
            nonlocal cancelled
            try:
                # A cancelled request had no effect; its retry is a new request.
                request_token = derived_id(cause, str(cancelled))
                await self._call("transact_write_items", TransactItems=items, ClientRequestToken=request_token)
            except ClientError as error:
                if error.response["Error"]["Code"] != "TransactionCanceledException":
                    raise refusal(error) from error
                cancelled += 1
                self._judge(error, nonce)

        try:
            await persist(step)
        except _ConditionFailed as error:
            raise TransactionConflict([]) from error

    @staticmethod
    def _judge(error: ClientError, nonce: str) -> None:
        """Return if the refusing rows have our marker; otherwise raise the meaning of the cancellation."""
        reasons = error.response.get("CancellationReasons", [])
        failed = [n for n, reason in enumerate(reasons) if reason.get("Code") == "ConditionalCheckFailed"]
        if any(has_nonce(reasons[n].get("Item"), nonce) for n in failed):
            return
        if failed:
            raise TransactionConflict(failed) from error
        if all(is_transient(reason["Code"]) for reason in reasons if reason.get("Code", "None") != "None"):
            raise _ConditionFailed from error
        raise refusal(error) from error

    async def query(self, query: Query) -> Rows:
        table = self._tables[query.table]
        start = values.decode_cursor(query, table)
        request = query_request(query)
        if start:
            request["ExclusiveStartKey"] = values.to_attributes(start)
        reply: dict[str, Any] = {}

        async def step() -> None:
            # One more than requested, so that the last page is recognised.
            reply.update(await self._call("query", **request, Limit=query.limit + 1))

        await persist(step)
        rows = [from_attributes(row) for row in reply["Items"][: query.limit]]
        if len(reply["Items"]) <= query.limit and "LastEvaluatedKey" not in reply:
            return Rows(rows)
        names = key_names(table, query.index)
        last = rows[-1] if rows else from_attributes(reply["LastEvaluatedKey"])
        return Rows(rows, values.encode_cursor(query, {name: last[name] for name in names}))
