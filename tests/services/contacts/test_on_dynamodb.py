"""The same on DynamoDB's own terms: conditions, transactions, indexes and cursors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from libs.common.aws.clients import Aws
from libs.common.settings import Settings
from libs.common.store.dynamodb import DynamoStore
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.events.outbound import PermissionApplied
from services.contacts.service import service
from tests.kit.tables import create
from tests.services.contacts.conftest import OTHER, PHONE, Town


@pytest.fixture
async def town(emulator: dict[str, str]) -> AsyncIterator[Town]:
    aws = Aws(environment=emulator)
    stage = f"t{uuid4().hex[:8]}"
    async with aws, World([service], aws=aws, settings=Settings(stage=stage)) as world:
        tables = {spec.name: spec.table for spec in world.topology.tables}
        await create(aws, tables)
        world.runtime.store = DynamoStore(aws, tables)
        yield Town(world)


async def test_a_contact_lives_there(town: Town) -> None:
    created = await town.create(name="Ana Older", email="ana@example.com")
    path = f"/api/contacts/{created['contactId']}"
    await town.consent(created["contactId"], purposes=["marketing"], words="yes")
    await town.writes("hello")
    assert town.standing().purposes == ()
    await town.writes("STOP")
    asked = town.standing()
    for _ in range(2):
        await town.world.hear(
            PermissionApplied(
                contact_id=created["contactId"],
                channel=Channel.WHATSAPP,
                revision=asked.revision,
                at=town.world.clock.now(),
            )
        )
    assert [each.get("how") for each in await town.history(created["contactId"])] == ["api", "wrote-in", "keyword"]
    assert (await town.only())["consents"]["whatsapp"]["effectiveAt"]
    assert (await town.api.post("/api/contacts", json={"phone": PHONE})).json()["code"] == "CONTACT_EXISTS"
    assert (await town.api.put(path, json={"phone": OTHER, "name": "Ana Newer", "email": None})).status_code == 200
    assert (await town.api.get("/api/contacts/search", params={"q": "newer ana"})).json()["items"]
    assert (await town.api.get("/api/contacts/search", params={"q": "older"})).json()["items"] == []
    await town.create(email="ana@example.com")
    assert (await town.api.delete(path)).status_code == 204
    assert (await town.only())["phone"] == PHONE


async def test_pages_go_on_where_they_stopped(town: Town) -> None:
    for n in range(7):
        await town.create(name=f"Tess Testa {n}", phone=f"+120255501{n:02}")
    for route, params in (("/api/contacts/search", {"q": "tes"}), ("/api/contacts", {})):
        seen: list[str] = []
        cursor = None
        while not seen or cursor:
            query = {**params, "limit": "3", **({"cursor": cursor} if cursor else {})}
            page = (await town.api.get(route, params=query)).json()
            seen += [item["contactId"] for item in page["items"]]
            cursor = page.get("cursor")
        assert len(seen) == len(set(seen)) == 7
