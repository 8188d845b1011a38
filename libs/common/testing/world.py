"""The platform in memory. Each record of each queue is handled twice in every test.

async with World([contacts.service]) as world:
    await world.hear(MessageReceived(...))
    assert world.said(ConsentChanged)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from libs.common.aws.auth import Caller, Role, unauthorized
from libs.common.aws.clients import Aws
from libs.common.aws.secrets import MemorySecrets
from libs.common.bus.base import Record
from libs.common.bus.memory import MemoryBus
from libs.common.clock import ManualClock
from libs.common.declare.event import Envelope, Event, following, root_cause
from libs.common.declare.names import Names
from libs.common.declare.service import Service
from libs.common.declare.topology import owned, topology
from libs.common.handle.delivery import run_tick
from libs.common.handle.outbox import sweep_outbox
from libs.common.handle.receive import receive
from libs.common.handle.runtime import Runtime, check_settings
from libs.common.hosts.http.api import create_app
from libs.common.settings import Settings
from libs.common.store.expiring import ExpiringStore
from libs.common.store.item import Item
from libs.common.store.memory import MemoryStore
from libs.common.testing.files import MemoryFiles

E = TypeVar("E", bound=Event)
T = TypeVar("T", bound=Item)


class FakeVerifier:
    """Accepts the name of a role as a token: ``Bearer OPERATOR``."""

    async def verify(self, token: str) -> Caller:
        if token not in Role.__members__:
            raise unauthorized("not a role")
        return Caller(f"test-{token.lower()}", Role[token])


class _Watched(MemoryBus):
    """Records published events."""

    heard: list[Envelope]

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        await super().publish(envelopes)
        self.heard.extend(envelopes)


class World:
    """Runs ``services`` on a memory store and bus, with a manual clock.

    ``strangers`` are events that the test publishes although no service here says them.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        strangers: Sequence[type[Event]] = (),
        settings: Settings | None = None,
        aws: Aws | None = None,
        times: int = 2,
    ) -> None:
        published = {event for service in services for event in service.facts()}
        missing = [on.event for service in services for on in service.hears if on.event not in published]
        self.test = Service("test", says=list(dict.fromkeys([*missing, *strangers])))
        self.services = [*services, self.test]
        self.settings = settings or Settings(stage="test", send_mode="LIVE")
        check_settings(self.settings, services)
        self.clock = ManualClock()
        self.topology = topology(self.services, self.settings.prefix)
        self.store = MemoryStore({spec.name: spec.table for spec in self.topology.tables})
        self.bus = _Watched(self.topology, self.clock)
        self.bus.heard = []
        self.aws = aws or Aws()
        names = Names(self.settings.prefix)
        items = {names.table(service.name, item): item for service in self.services for item in owned(service)}
        living = ExpiringStore(self.store, items, self.clock.now)
        self.runtime = Runtime(self.settings, living, self.bus, self.clock, self.aws)
        self.secrets = self.runtime.secrets = MemorySecrets()
        self.files = self.runtime.files = MemoryFiles()
        self.times = times
        self._n = 0
        self._clients: list[httpx.AsyncClient] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            await client.aclose()
        await self.runtime.rest.close()
        await self.aws.__aexit__(None, None, None)

    def service(self, name: str) -> Service:
        return next(service for service in self.services if service.name == name)

    def envelope(self, event: Event, key: str | None = None, actor: str = "test") -> Envelope:
        """An envelope of the event; the same ``key`` gives the same id, no key a new one each time."""
        self._n += 1
        cause = root_cause("test", key or str(self._n), actor=actor)
        return following(cause, [event], source="test", now=self.clock.now())[0]

    async def publish(self, *events: Event, key: str | None = None) -> None:
        """Publish events without handling them."""
        await self.bus.publish([self.envelope(event, key and f"{key}{i}") for i, event in enumerate(events)])

    async def hear(self, *events: Event, key: str | None = None) -> None:
        """Publish events and handle everything that follows."""
        await self.publish(*events, key=key)
        await self.settle()

    async def feed(self, name: str, body: str | dict[str, Any], times: int = 1) -> None:
        """Publish a provider's message to a feed, so many times, and handle everything that follows."""
        text = body if isinstance(body, str) else json.dumps(body)
        for _ in range(times):
            await self.bus.publish_raw(Names(self.settings.prefix).feed_topic(name), text)
        await self.settle()

    async def settle(self) -> None:
        """Handle all visible messages and everything that follows, until the queues are empty; invisible messages stay invisible."""
        for _ in range(10_000):
            records = [
                (self.service(spec.service), record)
                for spec in (*self.topology.queues, *self.topology.dead_letter_queues)
                for record in await self.bus.receive(spec.name, 10, 0)
            ]
            if not records:
                return
            for service, record in records:
                for _ in range(self.times):
                    await receive(self.runtime, service, record)
        raise AssertionError("the queues never became empty")

    async def advance(self, seconds: float, step: float = 60) -> None:
        """Advance the clock, and handle messages when they become visible."""
        left = seconds
        while left > 0:
            self.clock.advance(min(step, left))
            left -= step
            await self.settle()

    async def tick(self, service: str, label: str | None = None) -> int:
        """Run a service's ticks and its sweep twice each, then settle; returns the number of tick actions."""
        done = 0
        for _ in range(self.times):
            for every in self.service(service).every:
                if label is None or every.label() == label:
                    done += await run_tick(self.runtime, self.service(service), every)
            if self.service(service).uses_ledger():
                await sweep_outbox(self.runtime, self.service(service))
        await self.settle()
        return done

    def said(self, event: type[E]) -> list[E]:
        """The published events of this type, in order, without duplicates."""
        found: dict[str, E] = {}
        for envelope in self.bus.heard:
            if isinstance(envelope.data, event):
                found.setdefault(envelope.id, envelope.data)
        return list(found.values())

    def letters(self, queue: str | None = None) -> list[dict[str, Any]]:
        """The dead letters (of one queue, by its physical name, or of all), newest last."""
        specs = [spec for spec in self.topology.queues if queue in (None, spec.name)]
        records: list[Record] = [record for spec in specs for record in self.bus.peek(spec.dlq)]
        return [json.loads(record.body) for record in records]

    async def row(self, service: str, model: type[T], hash: str, sort: str | None = None) -> T | None:
        """The current row of an item."""
        return await self.runtime.context(self.service(service)).get(model, hash, sort)

    def http(self, role: str | None = "OPERATOR") -> httpx.AsyncClient:
        """An API client with the token of a role (None: without a token)."""
        app = create_app(self.runtime, self.services, FakeVerifier())
        headers = {"Authorization": f"Bearer {role}"} if role else {}
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=headers)
        self._clients.append(client)
        return client
