"""The record in a world with a service that it watches, and hands that tamper with its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from libs.common.aws.clients import Aws
from libs.common.clock import iso
from libs.common.declare.service import Service
from libs.common.settings import Settings
from libs.common.store.item import Item
from libs.common.store.ops import Delete, Put
from libs.common.testing.world import World
from services.audit.model import SHARDS, AuditBlock, AuditHead, AuditLog
from services.audit.service import service as audit
from tests.kit import toy

SETTINGS = Settings(stage="test", send_mode="LIVE")


class Record:
    """Everything arrives twice; ``links`` lets the entries that wait be linked."""

    def __init__(self, *more: Service, aws: Aws | None = None, settings: Settings = SETTINGS) -> None:
        self.world = World([audit, *(more or [toy.service])], aws=aws, settings=settings)
        self.admin: httpx.AsyncClient = self.world.http("ADMIN")

    async def greets(self, *names: str, role: str = "OPERATOR") -> None:
        """Requests that change something, one for each name; a little time goes by after each. Which shard an entry goes to
        follows from its key, which is not drawn here."""
        http = self.world.http(role)
        for name in names:
            key = {"Idempotency-Key": f"{name} {iso(self.world.clock.now())}"}
            assert (await http.post("/api/toys", json={"name": name}, headers=key)).status_code in (201, 403)
            self.world.clock.advance(0.01)
        await self.world.settle()

    async def links(self) -> None:
        await self.world.tick("audit", "link-entries")

    async def anchors(self) -> None:
        await self.world.tick("audit", "anchor-heads")

    async def get(self, path: str = "", expect: int = 200, **query: Any) -> Any:
        answer = await self.admin.get(f"/api/audit{path}", params=query)
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def entries(self, **query: Any) -> list[dict[str, Any]]:
        """All that fit, page by page, newest first."""
        found: list[dict[str, Any]] = []
        while True:
            reported = await self.get(**query)
            found += reported["items"]
            if reported.get("cursor") is None:
                return found
            query["cursor"] = reported["cursor"]

    async def verified(self, day: str | None = None) -> dict[str, Any]:
        """All parts of a day (today) as one."""
        query = {"day": day} if day else {}
        whole = reported = await self.get("/verify", **query)
        while reported.get("cursor"):
            reported = await self.get("/verify", **query, cursor=reported["cursor"])
            whole = {
                **reported,
                "entries": whole["entries"] + reported["entries"],
                "waiting": whole["waiting"] + reported["waiting"],
            }
        return whole

    async def broken(self, day: str | None = None) -> str:
        reported = await self.verified(day)
        assert reported["ok"] == ("broken" not in reported)
        return str(reported["broken"]["what"]) if not reported["ok"] else ""

    # -- what somebody with access to the tables could do ------------------------------------------

    def table(self, model: type[Item]) -> str:
        return self.world.runtime.context(audit).table(model)

    async def rewrite(self, item: Item) -> None:
        await self.world.runtime.store.write(Put(self.table(type(item)), item.to_row()))

    async def remove(self, *items: Item) -> None:
        for item in items:
            await self.world.runtime.store.write(Delete(self.table(type(item)), item.own_key()))

    async def heads(self, day: str = "2026-01-15") -> list[AuditHead]:
        found = [await self.world.row("audit", AuditHead, shard, day) for shard in SHARDS]
        return [head for head in found if head is not None]

    async def blocks(self, head: AuditHead) -> list[AuditBlock]:
        page = await self.world.runtime.context(audit).query(AuditBlock, head.chain, limit=100)
        return page.items

    async def rows(self, block: AuditBlock) -> Sequence[AuditLog]:
        found = [await self.world.row("audit", AuditLog, each.log_id) for each in block.entries]
        return [row for row in found if row is not None]

    async def longest(self) -> AuditHead:
        return max(await self.heads(), key=lambda head: head.entries)
