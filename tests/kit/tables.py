"""The tables of the store contract tests, and a function that creates them on an empty AWS."""

from typing import Any, ClassVar
from uuid import uuid4

from libs.common.aws.clients import Aws
from libs.common.store.item import Index, Item, Table


class Person(Item):
    TABLE: ClassVar[Table] = Table("people", key="id", indexes=(Index("by-city", hash="city", sort="name"),))

    id: str
    name: str = "Ada"
    city: str | None = None
    count: int = 0


class SendRequest(Item):
    TABLE: ClassVar[Table] = Table("visits", key="id", ttl="expiresAt")

    id: str
    count: int = 0
    expires_at: int


class Guest(Item):
    """Some stay."""

    TABLE: ClassVar[Table] = Table("guests", key="id", sort="at", ttl="expiresAt")

    id: str
    at: str = "now"
    expires_at: int | None = None


PEOPLE = Person.TABLE
#: A table with a sort key, and an index that holds whole rows.
NOTES = Table("notes", key="owner", sort="at", indexes=(Index("by-kind", hash="kind", sort="at", projection="ALL"),))


def fresh_tables() -> dict[str, Table]:
    """Under names that no other test has."""
    stamp = uuid4().hex[:8]
    return {f"test-{stamp}-people": PEOPLE, f"test-{stamp}-notes": NOTES}


def expiring_tables() -> dict[str, type[Item]]:
    stamp = uuid4().hex[:8]
    return {f"test-{stamp}-visits": SendRequest, f"test-{stamp}-guests": Guest}


async def create(aws: Aws, tables: dict[str, Table]) -> None:
    client = await aws.client("dynamodb")
    for name, table in tables.items():
        await client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **_shape(table))


def _shape(table: Table) -> dict[str, Any]:
    def schema(hash: str, sort: str | None) -> list[dict[str, str]]:
        keys = [{"AttributeName": hash, "KeyType": "HASH"}]
        return keys + ([{"AttributeName": sort, "KeyType": "RANGE"}] if sort else [])

    names = {table.key, table.sort, *(i.hash for i in table.indexes), *(i.sort for i in table.indexes)} - {None}
    return {
        "AttributeDefinitions": [
            {"AttributeName": str(name), "AttributeType": "S"} for name in sorted(map(str, names))
        ],
        "KeySchema": schema(table.key, table.sort),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index.name,
                "KeySchema": schema(index.hash, index.sort),
                "Projection": {"ProjectionType": index.projection},
            }
            for index in table.indexes
        ],
    }
