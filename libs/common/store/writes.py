"""Batches writes, up to 25 per call, and retries until each has its outcome."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from libs.common.clock import random_id
from libs.common.store.item import Key, Table
from libs.common.store.ops import Delete, Insert, Put, Write, Written
from libs.common.store.partiql import has_nonce, statement
from libs.common.store.persist import Unavailable, is_retryable, is_transient, persist, refusal
from libs.common.store.values import Attributes, from_attributes, key_of, to_attributes

Call = Callable[..., Awaitable[dict[str, Any]]]
Read = Callable[[Sequence[tuple[str, Key]]], Awaitable[Sequence[Attributes | None]]]


@dataclass(eq=False)
class Pending:
    """``request`` is the item of a put or the statement of another write; all attempts carry the same ``nonce``."""

    op: Write
    key: Key
    nonce: str
    request: dict[str, Any]
    outcome: Written | BaseException | None = None

    @classmethod
    def of(cls, op: Write, table: Table) -> Pending:
        """Raises TypeError or ValueError for values that DynamoDB cannot hold."""
        nonce = random_id()[:12]
        request = to_attributes(op.row) if isinstance(op, Put) else statement(op, nonce, table)
        return cls(op, key_of(op, table), nonce, request)

    @property
    def row(self) -> tuple[str, ...]:
        """The key of its row."""
        return (self.op.table, *self.key.values())

    def refused(self, row: Attributes | None) -> None:
        """The outcome of a refused write, given the row that refused it."""
        if row is not None:
            mine = has_nonce(row, self.nonce)
            self.outcome = Written(True) if mine else Written(False, from_attributes(row))
        elif not isinstance(self.op, Insert):  # an insert is retried if the existing row is gone
            self.outcome = Written(isinstance(self.op, Delete))


class Writer:
    def __init__(self, call: Call, read: Read) -> None:
        self._call = call
        self._read = read

    async def put(self, batch: Sequence[Pending]) -> list[Written | BaseException]:
        """Puts. Of several on one row only the last is written: no reader could have seen the others."""
        last = {each.row: each for each in batch}
        outcomes = dict(zip(last, await self._all(self._put, list(last.values())), strict=True))
        return [outcomes[each.row] for each in batch]

    async def execute(self, batch: Sequence[Pending]) -> list[Written | BaseException]:
        """Conditional writes, each on a different row."""
        return await self._all(self._execute, batch)

    async def _all(
        self, send: Callable[[list[Pending]], Awaitable[None]], batch: Sequence[Pending]
    ) -> list[Written | BaseException]:
        async def step() -> None:
            await self._together(send, [each for each in batch if each.outcome is None])
            if any(each.outcome is None for each in batch):
                raise Unavailable("some writes")

        failure: BaseException = Unavailable("write")
        try:
            await persist(step)
        except Exception as error:
            failure = error
        return [failure if each.outcome is None else each.outcome for each in batch]

    async def _together(self, send: Callable[[list[Pending]], Awaitable[None]], some: list[Pending]) -> None:
        """If the whole call is refused, write one by one, so that only the invalid write fails."""
        if not some:
            return
        try:
            await send(some)
        except (ClientError, BotoCoreError) as error:
            if is_retryable(error):
                raise
            if len(some) == 1:
                some[0].outcome = refusal(error) if isinstance(error, ClientError) else error
            else:
                for each in some:
                    await self._together(send, [each])

    async def _put(self, some: list[Pending]) -> None:
        requests: dict[str, list[Any]] = defaultdict(list)
        for each in some:
            requests[each.op.table].append({"PutRequest": {"Item": each.request}})
        skipped = (await self._call("batch_write_item", RequestItems=dict(requests))).get("UnprocessedItems", {})
        for each in some:
            key = to_attributes(each.key).items()
            unprocessed = (entry["PutRequest"]["Item"] for entry in skipped.get(each.op.table, []))
            if not any(key <= item.items() for item in unprocessed):
                each.outcome = Written(True)

    async def _execute(self, some: list[Pending]) -> None:
        reply = await self._call("batch_execute_statement", Statements=[each.request for each in some])
        unseen: list[Pending] = []
        for each, response in zip(some, reply["Responses"], strict=True):
            error = response.get("Error")
            if error is None:
                each.outcome = Written(True)
            elif error["Code"] not in ("ConditionalCheckFailed", "DuplicateItem"):
                if not is_transient(error["Code"]):
                    each.outcome = refusal(ClientError({"Error": error}, "BatchExecuteStatement"))
            elif "Item" in error:
                each.refused(error["Item"])
            else:
                unseen.append(each)
        if unseen:
            # DuplicateItem does not include the existing row; DynamoDB Local includes it in no refusal.
            rows = await self._read([(each.op.table, each.key) for each in unseen])
            for each, row in zip(unseen, rows, strict=True):
                each.refused(row)
