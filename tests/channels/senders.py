"""The senders that discovery finds, each with the clients that it sends through: who sits the exam.

``exam.json`` beside ``channel.py`` lists a channel's clients; without it there is one, AWS's. Of a client of its own it says
under which variables messages go that way (``{url}`` is where the provider is), from which ``sender``, what the provider
answers (``accepted``; ``refused`` with the ``{code}`` of the fault), what each HTTP fault (``429 <code>``) must be called, and
whether the carrier simulator plays the provider.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from libs.common.aws.clients import Aws
from libs.common.declare.discover import discover
from libs.common.declare.service import Secret
from libs.common.settings import Settings, read
from libs.common.testing.world import World
from libs.messaging.content import Content
from libs.messaging.vocabulary import MessageClass, Purpose
from libs.simulator import demo
from services.outbound.contract import Channel, Outgoing

FOLDER = Path(__file__).parents[2] / "services" / "outbound" / "channels"
SERVICES = {service.name: service for service in discover()}
CHANNELS = sorted(name.removeprefix("outbound-") for name in SERVICES if name.startswith("outbound-"))
MESSAGE_ID = "0d3c9a4e-5f60-5a7b-8c9d-000000000001"
SECRET = "wJalrXUtnFEMI-marked-secret"
AWS = "AWS"


@dataclass(frozen=True)
class Client:
    """One way in which a channel's messages reach its provider."""

    channel: str
    name: str = AWS
    environment: dict[str, str] = field(default_factory=dict)
    sender: str = ""
    simulated: bool = False
    accepted: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def is_aws(self) -> bool:
        return self.name == AWS

    @property
    def service(self) -> str:
        return f"outbound-{self.channel}"

    def __str__(self) -> str:
        return self.channel if self.is_aws else f"{self.channel} by {self.name}"

    def settings(self, url: str, given: dict[str, str]) -> Settings:
        """Those of a local stack (``given``) under which messages go this way."""
        own = {name: value.replace("{url}", url) for name, value in self.environment.items()}
        return read({**given, **own, "WECARE_STAGE": "test", "WECARE_SEND_MODE": "LIVE"})


def _clients(channel: str) -> list[Client]:
    file = FOLDER / channel / "exam.json"
    listed = json.loads(file.read_text()) if file.exists() else [{"name": AWS}]
    return [Client(**{"channel": channel, "simulated": each["name"] == AWS, **each}) for each in listed]


CLIENTS = [client for channel in CHANNELS for client in _clients(channel)]


def cases_of(channel: str) -> list[dict[str, Any]]:
    """The recorded cases of a sender, in the order of their files."""
    return [
        case for path in sorted((FOLDER / channel / "cases").glob("*.json")) for case in json.loads(path.read_text())
    ]


def channel_of(name: str) -> Channel:
    """The one channel that a folder's ``channel.py`` defines."""
    module = importlib.import_module(f"services.outbound.channels.{name}.channel")
    found = [
        kind for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__ and hasattr(kind, "render")
    ]  # fmt: skip
    assert len(found) == 1
    return found[0]()  # type: ignore[no-any-return]


def outgoing(message: dict[str, Any]) -> Outgoing:
    return Outgoing(
        message_id=MESSAGE_ID,
        to=message["to"],
        content=TypeAdapter(Content).validate_python(message["content"]),
        message_class=MessageClass(message.get("messageClass", "transactional")),
        purpose=Purpose(message.get("purpose", "service")),
        in_reply_to=message.get("inReplyTo"),
        seconds_to_live=message.get("secondsToLive"),
    )


@asynccontextmanager
async def world_of(
    client: Client, url: str, settings: Settings, *, times: int = 1, more: tuple[str, ...] = (), secret: str = SECRET
) -> AsyncIterator[World]:
    """The sender as it is declared (and ``more`` services) before a provider at ``url``; every secret is ``secret``."""
    keys = {"AWS_REGION": demo.REGION, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": SECRET}
    services = [SERVICES[each] for each in (client.service, *more)]
    async with (
        Aws(environment={**keys, "AWS_ENDPOINT_URL": url}) as aws,
        World(services, settings=settings, aws=aws, times=times) as running,
    ):
        for need in SERVICES[client.service].needs:
            if isinstance(need, Secret):
                running.secrets.values[f"wecare-test/{need.owner or client.service}/{need.name}"] = secret
        yield running
