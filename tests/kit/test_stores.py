"""Runs the contract tests on the memory store and the DynamoDB store."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from libs.common.aws.clients import Aws
from libs.common.store.dynamodb import DynamoStore
from libs.common.store.expiring import ExpiringStore
from libs.common.store.memory import MemoryStore
from tests.kit.expiry_contract import NOW, Expiry, ExpiryExam, with_expired_rows
from tests.kit.store_contract import Sitting, StoreExam
from tests.kit.tables import create, expiring_tables, fresh_tables


class TestMemory(StoreExam):
    @pytest.fixture
    def sitting(self) -> Sitting:
        tables = fresh_tables()
        store = MemoryStore(tables)
        return Sitting(store, *tables, open=lambda: store)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aws(emulator: dict[str, str]) -> AsyncIterator[Aws]:
    async with Aws(environment=emulator) as aws:
        yield aws


@pytest.mark.asyncio(loop_scope="module")
class TestDynamoDB(StoreExam):
    @pytest_asyncio.fixture(loop_scope="module")
    async def sitting(self, aws: Aws) -> Sitting:
        tables = fresh_tables()
        await create(aws, tables)
        return Sitting(DynamoStore(aws, tables), *tables, open=lambda: DynamoStore(aws, tables))


class TestExpiryInMemory(ExpiryExam):
    @pytest.fixture
    def expiry(self) -> Expiry:
        items = expiring_tables()
        bare = MemoryStore({name: item.TABLE for name, item in items.items()})
        return Expiry(ExpiringStore(bare, items, lambda: NOW), bare, *items)


@pytest.mark.asyncio(loop_scope="module")
class TestExpiryInDynamoDB(ExpiryExam):
    @pytest_asyncio.fixture(loop_scope="module")
    async def expiry(self, aws: Aws) -> Expiry:
        items = expiring_tables()
        tables = {name: item.TABLE for name, item in items.items()}
        await create(aws, tables)
        bare = DynamoStore(aws, tables)
        return Expiry(ExpiringStore(bare, items, lambda: NOW), bare, *items)

    @pytest_asyncio.fixture(loop_scope="module")
    async def old(self, expiry: Expiry) -> Expiry:
        return await with_expired_rows(expiry)
