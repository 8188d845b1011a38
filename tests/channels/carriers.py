"""Who plays the provider in the exam: the carrier simulator where it knows the provider, else a server that takes everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import boto3

from deploy.local import carriers
from libs.common.declare.topology import topology
from libs.common.settings import Settings
from libs.simulator import demo
from libs.simulator.app import Simulator
from libs.simulator.core import Settings as SimulatorSettings
from tests.channels.faults import FaultServer, fault_server
from tests.channels.senders import SERVICES, Client

#: A fault of the simulator -> the same of the fault server (of an HTTP status, the first that the channel examines).
_FAULTS = {
    "accept_then_reset": "reset_after",
    "accept_then_500": "500",
    "accept_then_503": "503",
    "accept_then_hang": "hang",
    "throttle_429": "429",
    "invalid_number": "400",
}


class Carrier(Protocol):
    """A provider at ``url``; ``settings`` are those under which a client sends there."""

    url: str
    settings: Settings

    def fails(self, fault: str, to: str | None = None) -> None:
        """Once, at the next send (to somebody)."""

    def accepted(self, message_id: str) -> list[str]:
        """The provider's ids of what it took under our id."""


class Simulated:
    """The carrier simulator, told of us as on a local stack."""

    def __init__(self, simulator: Simulator, settings: Settings) -> None:
        self._core = simulator.core
        self.url = simulator.url
        self.settings = settings

    def fails(self, fault: str, to: str | None = None) -> None:
        self._core.faults.add({"fault": fault, "times": 1, "seconds": 2, **({"to": to} if to else {})})

    def accepted(self, message_id: str) -> list[str]:
        return [each.provider_id for each in self._core.ledger.by_id[message_id]]

    async def receipts(self) -> list[tuple[str, str]]:
        """``(feed, message)`` of all that it reported."""
        await self._core.emitter.flush()
        return [
            (str(topic).partition("-feed-")[2], str(event["message"]))
            for event in self._core.emitter.recent
            for topic in event["topics"]  # type: ignore[attr-defined]
        ]


class Faked:
    """A server that takes every request and answers as the channel's ``exam.json`` says."""

    def __init__(self, server: FaultServer, client: Client, settings: Settings) -> None:
        self._server = server
        self._faults = client.faults
        self.url = server.url
        self.settings = settings

    def fails(self, fault: str, to: str | None = None) -> None:
        wanted = _FAULTS.get(fault, fault)
        of_provider = [each for each in self._faults if each.startswith(f"{wanted} ")]
        self._server.fault, self._server.once = of_provider[0] if of_provider else wanted, True

    def accepted(self, message_id: str) -> list[str]:
        (provider_id,) = _texts(self._server.good)
        return [provider_id for body in self._server.bodies if f'"{message_id}"'.encode() in body]


@asynccontextmanager
async def carrier_of(client: Client) -> AsyncIterator[Carrier]:
    """The provider of a client, on a free port."""
    if not client.simulated:
        async with fault_server("ok", client) as server:
            yield Faked(server, client, client.settings(server.url, {}))
        return
    async with Simulator(SimulatorSettings(seed="1", grace_s=0)) as running:
        # The window of everybody is open.
        running.core.behaviour.patch({"always_open_window": True, "delay_ms": 0})
        yield Simulated(running, client.settings(running.url, await _introduced(running.url)))


async def _introduced(url: str) -> dict[str, str]:
    """The variables of a local stack whose carrier is at ``url``."""

    def aws(service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=url, region_name=demo.REGION, **keys)

    whole = topology(list(SERVICES.values()), "wecare-test")
    return await asyncio.to_thread(carriers.provision, whole, aws, demo.ACCOUNT_ID, demo.REGION)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        return [text for each in (value.values() if isinstance(value, dict) else value) for text in _texts(each)]
    return [value] if isinstance(value, str) else []
