"""The store in DynamoDB. Reads and writes of many callers share calls; faults are ridden out here.

Every attempt of a write carries the same mark. When an answer is lost and the next attempt is refused by a row
that bears our mark, the write was ours and it is done: nobody conflicts with himself.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.parsers import ResponseParserError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random_exponential

from libs.common.aws import Aws
from libs.common.batcher import Batcher
from libs.common.clock import derived_id, drawn_id
from libs.common.item import Key, Row, Table
from libs.common.store.ops import Delete, Insert, Op, Put, Query, Rows, TransactionConflict, Update, Write, Written
from libs.common.store.partiql import bears, query_request, statement, transact_item
from libs.common.store.values import (
    Attributes,
    check_transaction,
    decode_cursor,
    encode_cursor,
    from_attributes,
    key_names,
    key_of,
    to_attributes,
)

#: Codes of requests, statements and cancelled transactions that say "not now"; the suffix differs between them.
TRANSIENT = {
    "InternalServer", "InternalFailure", "LimitExceeded", "ProvisionedThroughputExceeded", "RequestLimitExceeded",
    "RequestTimeout", "ServiceUnavailable", "Throttling", "TransactionConflict", "TransactionInProgress",
}  # fmt: skip
MOST_READS = 100
MOST_WRITES = 25
#: Short first waits (50 ms), because a key stays busy while its write is retried; in all less than a message is hidden.
ATTEMPTS = 8
PATIENCE_SECONDS = 15


class Unavailable(Exception):
    """DynamoDB left a part undone until our patience ended. What was asked may or may not have happened."""


def _is_transient(code: str) -> bool:
    return code.removesuffix("Exception").removesuffix("Error") in TRANSIENT


def _may_pass(error: BaseException) -> bool:
    """Whether another attempt can help."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or _is_transient(error.response["Error"]["Code"])
    return isinstance(error, Unavailable | HTTPClientError | HttpError | ResponseParserError | TimeoutError)


async def _persist(step: Callable[[], Awaitable[None]]) -> None:
    """Repeat ``step`` while what stops it may pass; then raise that."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception(_may_pass),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(PATIENCE_SECONDS),
        reraise=True,
    ):
        with attempt:
            await step()


class DynamoStore:
    """``tables`` are the tables by physical name. Open as long as its ``aws``."""

    def __init__(self, aws: Aws, tables: Mapping[str, Table]) -> None:
        self._aws = aws
        self._tables = tables
        self._reads = Batcher(self._read, most=MOST_READS)
        self._writes = Batcher(self._write, most=MOST_WRITES, key=lambda pair: self._identity(pair[0]))

    def _identity(self, op: Op) -> tuple[str, ...]:
        return (op.table, *key_of(op, self._tables[op.table]).values())

    async def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        # One attempt: retries are ours, because botocore's take a second between them and do not see partial failures.
        client = await self._aws.client("dynamodb", attempts=1)
        reply: dict[str, Any] = await getattr(client, operation)(**request)
        return reply

    async def drain(self) -> None:
        """See through what is on its way."""
        await asyncio.gather(self._reads.drain(), self._writes.drain())

    async def get(self, table: str, key: Key) -> Row | None:
        found = await self._reads.do((table, key))
        return None if found is None else from_attributes(found)

    async def _read(self, wanted: Sequence[tuple[str, Key]]) -> Sequence[Attributes | None]:
        """BatchGetItem; the same key twice is asked for once."""
        names = {table: key_names(self._tables[table]) for table, _ in wanted}
        ids = [(table, *(key[name] for name in names[table])) for table, key in wanted]
        found: dict[tuple[str, ...], Attributes] = {}
        left = set(ids)

        async def step() -> None:
            tables: dict[str, Any] = defaultdict(lambda: {"Keys": [], "ConsistentRead": True})
            for table, *values in left:
                tables[table]["Keys"].append(
                    {name: {"S": value} for name, value in zip(names[table], values, strict=True)}
                )
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

        await _persist(step)
        return [found.get(each) for each in ids]

    async def write(self, op: Write) -> Written:
        return await self._writes.do((op, drawn_id()[:12]))

    async def _write(self, batch: Sequence[tuple[Write, str]]) -> Sequence[Written | BaseException]:
        return await _Batch(self._call, self._read, self._tables, batch).done()

    async def transact(self, ops: Sequence[Op], token: str) -> None:
        check_transaction(ops, self._tables)
        # What is asked is part of the token: a rerun that came to something else is a new request, judged by its
        # conditions, where DynamoDB would refuse it for ten minutes (IdempotentParameterMismatch).
        cause = derived_id(token, repr(list(ops)))
        nonce = cause[-12:]
        items = [transact_item(op, nonce, self._tables[op.table]) for op in ops]
        cancelled = 0

        async def step() -> None:
            nonlocal cancelled
            try:
                # A cancelled request did nothing; its repeat is a new one.
                request_token = derived_id(cause, str(cancelled))
                await self._call("transact_write_items", TransactItems=items, ClientRequestToken=request_token)
            except ClientError as error:
                if error.response["Error"]["Code"] != "TransactionCanceledException":
                    raise
                cancelled += 1
                self._judge(error, nonce)

        try:
            await _persist(step)
        except _Met as error:
            raise TransactionConflict([]) from error

    @staticmethod
    def _judge(error: ClientError, nonce: str) -> None:
        """Return if the refusing rows show that we were here before; raise what the cancellation means if not."""
        reasons = error.response.get("CancellationReasons", [])
        failed = [n for n, reason in enumerate(reasons) if reason.get("Code") == "ConditionalCheckFailed"]
        if any(bears(reasons[n].get("Item"), nonce) for n in failed):
            return
        if failed:
            raise TransactionConflict(failed) from error
        if all(_is_transient(reason["Code"]) for reason in reasons if reason.get("Code", "None") != "None"):
            raise _Met from error
        raise error

    async def query(self, query: Query) -> Rows:
        table = self._tables[query.table]
        start = decode_cursor(query, table)
        request = query_request(query)
        if start:
            request["ExclusiveStartKey"] = to_attributes(start)
        reply: dict[str, Any] = {}

        async def step() -> None:
            # One more than asked, so that the last page knows that it is the last.
            reply.update(await self._call("query", **request, Limit=query.limit + 1))

        await _persist(step)
        rows = [from_attributes(row) for row in reply["Items"][: query.limit]]
        more = len(reply["Items"]) > query.limit or "LastEvaluatedKey" in reply
        if not more:
            return Rows(rows)
        names = key_names(table, query.index)
        last = rows[-1] if rows else from_attributes(reply["LastEvaluatedKey"])
        return Rows(rows, encode_cursor(query, {name: last[name] for name in names}))


class _Met(Unavailable):
    """A transaction that only met another one, or a throttle."""


class _Batch:
    """Up to 25 writes on rows of their own, until each is settled."""

    def __init__(
        self,
        call: Callable[..., Awaitable[dict[str, Any]]],
        read: Callable[[Sequence[tuple[str, Key]]], Awaitable[Sequence[Attributes | None]]],
        tables: Mapping[str, Table],
        batch: Sequence[tuple[Write, str]],
    ) -> None:
        self._call = call
        self._read = read
        self._tables = tables
        self._batch = batch
        self._settled: dict[int, Written | BaseException] = {}

    async def done(self) -> list[Written | BaseException]:
        failure: BaseException = Unavailable("write")
        try:
            await _persist(self._step)
        except Exception as error:
            failure = error
        return [self._settled.get(n, failure) for n in range(len(self._batch))]

    async def _step(self) -> None:
        left = [n for n in range(len(self._batch)) if n not in self._settled]
        puts = [n for n in left if isinstance(self._batch[n][0], Put)]
        rest = [n for n in left if n not in puts]
        sent = await asyncio.gather(
            self._send(self._put, puts), self._send(self._execute, rest), return_exceptions=True
        )
        for error in sent:
            if error is not None:
                raise error
        if len(self._settled) < len(self._batch):
            raise Unavailable(f"{len(self._batch) - len(self._settled)} writes")

    async def _send(self, send: Callable[[list[int]], Awaitable[None]], some: list[int]) -> None:
        """Send them together; if that is refused, one by one, so that only the bad one fails."""
        if not some:
            return
        try:
            await send(some)
        except (ClientError, BotoCoreError) as error:
            if _may_pass(error):
                raise
            if len(some) == 1:
                self._settled[some[0]] = error
            else:
                for n in some:
                    await self._send(send, [n])

    async def _put(self, some: list[int]) -> None:
        requests: dict[str, list[Any]] = defaultdict(list)
        for n in some:
            op = self._batch[n][0]
            assert isinstance(op, Put)
            requests[op.table].append({"PutRequest": {"Item": to_attributes(op.row)}})
        reply = await self._call("batch_write_item", RequestItems=dict(requests))
        skipped = reply.get("UnprocessedItems", {})
        for n in some:
            op = self._batch[n][0]
            key = to_attributes(key_of(op, self._tables[op.table]))
            again = (entry["PutRequest"]["Item"] for entry in skipped.get(op.table, []))
            if not any(key.items() <= item.items() for item in again):
                self._settled[n] = Written(True)

    async def _execute(self, some: list[int]) -> None:
        statements = []
        for n in some:
            op, nonce = self._batch[n]
            assert isinstance(op, Insert | Update | Delete)
            statements.append(statement(op, nonce, self._tables[op.table]))
        reply = await self._call("batch_execute_statement", Statements=statements)
        unseen: list[int] = []
        for n, response in zip(some, reply["Responses"], strict=True):
            error = response.get("Error")
            if error is None:
                self._settled[n] = Written(True)
            elif error["Code"] in ("ConditionalCheckFailed", "DuplicateItem"):
                if "Item" in error:
                    self._settle(n, error["Item"])
                else:
                    unseen.append(n)
            elif not _is_transient(error["Code"]):
                self._settled[n] = ClientError({"Error": error}, "BatchExecuteStatement")
        if unseen:
            # A duplicate comes without the row that stands there; DynamoDB Local gives it for no refusal.
            ops = [self._batch[n][0] for n in unseen]
            rows = await self._read([(op.table, key_of(op, self._tables[op.table])) for op in ops])
            for n, row in zip(unseen, rows, strict=True):
                self._settle(n, row)

    def _settle(self, n: int, row: Attributes | None) -> None:
        """What a refusal means, now that we see the row that refused."""
        op, nonce = self._batch[n]
        if row is not None:
            mine = bears(row, nonce)
            self._settled[n] = Written(True) if mine else Written(False, from_attributes(row))
        elif not isinstance(op, Insert):  # an insert whose obstacle has gone is tried again
            self._settled[n] = Written(isinstance(op, Delete))
