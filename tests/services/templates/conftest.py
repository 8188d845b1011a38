"""The registry with WhatsApp's simulated provider, in a world where everything arrives twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from libs.common.aws.clients import Aws
from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.events.inbound import AccountNoticed
from libs.messaging.events.templates import TemplateChanged, TemplatesListed
from libs.messaging.templates import TemplateState
from libs.simulator import demo
from libs.simulator.app import Simulator
from libs.simulator.core import Settings as SimulatorSettings
from services.templates.service import service

SETTINGS = Settings(stage="test", send_mode="LIVE")
KEYS = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass
class Registry:
    world: World
    simulator: Simulator
    api: httpx.AsyncClient

    async def reads_the_list(self) -> None:
        """Time passes until the next reading, and it is read."""
        self.world.clock.advance(21)
        await self.world.tick("templates", "sync")

    async def asked(self, method: str, path: str, body: Any = None, expect: int = 200) -> Any:
        answer = await self.api.request(method, f"/api/templates{path}", json=body)
        assert answer.status_code == expect, answer.text
        await self.world.settle()
        return answer.json()

    async def notice(self, kind: str, name: str, **value: Any) -> None:
        reported = {"message_template_name": name, "message_template_language": "en_US", **value}
        await self.world.hear(
            AccountNoticed(
                channel=Channel.WHATSAPP,
                kind=kind,
                account=demo.META_WABA_ID,
                details={"field": kind, "value": reported},
            )
        )

    def state(self, name: str, channel: str = "whatsapp") -> TemplateState:
        """The newest that was said."""
        said = [each.state for each in self.world.said(TemplateChanged)]
        return max(
            (each for each in said if (each.name, each.channel) == (name, channel)), key=lambda each: each.revision
        )

    def lists(self) -> list[TemplatesListed]:
        return self.world.said(TemplatesListed)

    def meta(self, name: str) -> Any:
        """What the simulated provider holds."""
        return next(iter(self.simulator.whatsapp.account.wabas.values())).templates[name, "en_US"]


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    async with (
        Simulator(SimulatorSettings(seed="1", grace_s=0)) as simulator,
        Aws(environment={**KEYS, "AWS_ENDPOINT_URL_SOCIALMESSAGING": simulator.url}) as aws,
        World([service], settings=SETTINGS, aws=aws) as world,
    ):
        yield Registry(world, simulator, world.http())
