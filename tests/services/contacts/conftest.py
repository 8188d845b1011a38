"""The service in a world of its own, and the few things that its tests say all the time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Text
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.inbound import MessageReceived, PreferenceChanged
from libs.messaging.permission import Permission
from services.contacts.service import service

PHONE = "+12025550123"
OTHER = "+12025550145"


class Town:
    """A world with ``contacts`` in it and somebody who writes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.api: httpx.AsyncClient = world.http()
        self._n = 0

    def message(self, text: str = "hello", *, after: float = 0, n: int | None = None, **facts: Any) -> MessageReceived:
        """A message that was received ``after`` seconds from now; ``n`` tells one message from another."""
        self._n += 1
        number = self._n if n is None else n
        reported: dict[str, Any] = {
            "message_id": f"message-{number}",
            "channel": Channel.WHATSAPP,
            "provider_message_id": f"wamid.{number}",
            "sender": PHONE,
            "sender_name": "José Álvarez",
            "to": "+12025550199",
            "content": Text(body=text),
            "received_at": self.world.clock.now() + timedelta(seconds=after),
        }
        return MessageReceived(**{**reported, **facts})

    def preference(self, wanted: bool, scope: str = "all", *, after: float = 0, **facts: Any) -> PreferenceChanged:
        reported: dict[str, Any] = {"channel": Channel.WHATSAPP, "address": PHONE, "scope": scope, "wanted": wanted}
        return PreferenceChanged(**{**reported, "at": self.world.clock.now() + timedelta(seconds=after), **facts})

    async def writes(self, text: str = "hello", **facts: Any) -> None:
        """A message comes in and all that follows follows; then a second goes by."""
        await self.world.hear(self.message(text, **facts))
        self.world.clock.advance(1)

    async def create(self, **body: Any) -> dict[str, Any]:
        answer = await self.api.post("/api/contacts", json={"phone": PHONE, **body})
        assert answer.status_code == 201, answer.text
        self.world.clock.advance(1)
        created: dict[str, Any] = answer.json()
        return created

    async def consent(self, contact_id: str, channel: str = "whatsapp", **body: Any) -> dict[str, Any]:
        answer = await self.api.put(f"/api/contacts/{contact_id}/consents/{channel}", json={"optedIn": True, **body})
        assert answer.status_code == 200, answer.text
        self.world.clock.advance(1)
        consent: dict[str, Any] = answer.json()["consents"][channel]
        return consent

    async def history(self, contact_id: str) -> list[dict[str, Any]]:
        """The evidence, oldest first."""
        answer = await self.api.get(f"/api/contacts/{contact_id}/consents")
        evidence: list[dict[str, Any]] = answer.json()["evidence"]
        return evidence[::-1]

    async def everybody(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.api.get("/api/contacts")).json()["items"]
        return items

    async def only(self) -> dict[str, Any]:
        """The one contact that there is."""
        (contact,) = await self.everybody()
        return contact

    def standing(self, channel: Channel = Channel.WHATSAPP) -> Permission:
        """The newest that was said."""
        said = [each.standing for each in self.world.said(PermissionChanged) if each.channel is channel]
        return max(said, key=lambda each: each.revision)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with World([service]) as world:
        yield Town(world)
