"""The same on DynamoDB's and S3's own terms: conditions, transactions of a hundred, indexes that are read in order, objects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from libs.common.aws.clients import Aws
from libs.common.aws.files import AwsFiles
from libs.common.handle.delivery import run_tick
from libs.common.settings import Settings
from libs.common.store.dynamodb import DynamoStore
from services.audit.links import MAX_IN_BLOCK
from services.audit.model import AuditLog
from services.audit.service import service as audit
from tests.kit import toy
from tests.kit.tables import create
from tests.services.audit.kit import Record


@pytest.fixture
async def record(emulator: dict[str, str]) -> AsyncIterator[Record]:
    stage = f"t{uuid4().hex[:8]}"
    async with Aws(environment=emulator) as aws:
        record = Record(toy.service, aws=aws, settings=Settings(stage=stage))
        async with record.world as world:
            tables = {spec.name: spec.table for spec in world.topology.tables}
            await create(aws, tables)
            s3 = await aws.client("s3")
            for bucket, _ in world.topology.buckets:
                await s3.create_bucket(Bucket=bucket)
            world.runtime.store = DynamoStore(aws, tables)
            world.runtime.files = AwsFiles(aws)
            yield record


async def test_a_record_lives_there(record: Record) -> None:
    await record.greets("ann", "bob", "cid")
    await record.links()
    await record.greets("dan", role="VIEWER")
    await record.links()
    await record.anchors()
    reported = await record.verified()
    assert (reported["ok"], reported["entries"], reported["waiting"]) == (True, 4, 0)
    assert reported["anchored"]
    assert [entry["kind"] for entry in await record.entries(limit=2)] == ["refusal", "request", "request", "request"]
    assert len(await record.entries(actor="user:test-operator", limit=2)) == 3
    made = await record.admin.post("/api/audit/exports", json={"action": "toy.say_hello"})
    assert (await record.get(f"/exports/{made.json()['exportId']}"))["url"].startswith("http")
    (row, *_) = await record.rows((await record.blocks((await record.heads())[0]))[0])
    await record.rewrite(row.model_copy(update={"actor": "user:nobody"}))
    assert await record.broken() == "entry_changed"


async def test_full_blocks_are_linked_by_one_of_several_processes(record: Record) -> None:
    now = record.world.clock.now()
    facts = {"kind": "fact", "actor": "test", "service": "t", "action": "t.a", "correlation_id": "c"}
    count = MAX_IN_BLOCK + 10
    await asyncio.gather(
        *(
            record.rewrite(AuditLog.of(f"e{n:03}", now, **facts).model_copy(update={"shard": "0", "waiting": "0"}))
            for n in range(count)
        )
    )
    (ticking, _) = audit.every
    await asyncio.gather(*(run_tick(record.world.runtime, audit, ticking) for _ in range(3)))
    (head,) = await record.heads()
    assert head.entries == count
    reported = await record.verified()
    assert (reported["ok"], reported["entries"], reported["waiting"]) == (True, count, 0)
