"""The runtime of a process: store, bus, clock, AWS clients, settings. Built once by a host (or by a test's world)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from libs.common.aws.auth import Caller
from libs.common.aws.clients import Aws
from libs.common.aws.fetch import Fetcher
from libs.common.aws.files import AwsFiles, Files
from libs.common.aws.rest import Rest
from libs.common.aws.secrets import AwsSecrets, Secrets
from libs.common.bus.base import Bus
from libs.common.clock import Clock, SystemClock
from libs.common.declare.event import Cause
from libs.common.declare.service import Service
from libs.common.handle.context import Context
from libs.common.settings import Settings, faults, unknown
from libs.common.store.ops import Store

log = structlog.get_logger()


@dataclass
class Runtime:
    """The dependencies of the kit."""

    settings: Settings
    store: Store
    bus: Bus
    clock: Clock
    aws: Aws
    secrets: Secrets = field(init=False)
    files: Files = field(init=False)
    fetcher: Fetcher = field(init=False)
    rest: Rest = field(init=False)

    def __post_init__(self) -> None:
        self.secrets = AwsSecrets(self.aws)
        self.files = AwsFiles(self.aws)
        self.fetcher = Fetcher()
        self.rest = Rest()

    def context(
        self,
        service: Service,
        cause: Cause | None = None,
        actor: str = "",
        caller: Caller | None = None,
        *,
        fresh: bool = False,
    ) -> Context:
        """A new context for one event, request, read (of ``caller``) or tick of ``service``."""
        return Context(
            service=service,
            settings=self.settings,
            store=self.store,
            clock=self.clock,
            aws=self.aws,
            secrets=self.secrets,
            files=self.files,
            fetcher=self.fetcher,
            rest=self.rest,
            cause=cause,
            actor=actor or (cause.actor if cause else f"system:{service.name}"),
            caller=caller,
            fresh=fresh,
            requeue=self.bus.send,
            depth=self.bus.depth,
        )


def check_settings(settings: Settings, services: Sequence[Service]) -> None:
    """Validates the settings; raises SystemExit that lists everything invalid."""
    wrong = [f"  {fault}" for fault in faults(settings)]
    for service in services:
        try:
            if service.checks is not None and not wrong:
                service.checks(settings)
        except ValueError as error:
            wrong.append(f"  {error}")
    if wrong:
        raise SystemExit("These settings cannot be used:\n" + "\n".join(wrong))


@asynccontextmanager
async def aws_runtime(settings: Settings, services: Sequence[Service]) -> AsyncIterator[Runtime]:
    """The runtime on AWS: DynamoDB, SNS and SQS. Raises SystemExit for invalid settings."""
    from libs.common.bus.sns_sqs import SnsSqsBus
    from libs.common.declare.discover import consumed
    from libs.common.declare.names import Names
    from libs.common.declare.topology import owned
    from libs.common.store.dynamodb import DynamoStore
    from libs.common.store.expiring import ExpiringStore

    check_settings(settings, services)
    for variable, similar in unknown(settings).items():
        log.warning("unknown setting", variable=variable, did_you_mean=similar)
    # Each queue always has one long poll in flight.
    polls = len(consumed(services, settings.prefix))
    connections = max(50, settings.concurrency) + polls
    async with Aws(connections, store_connections=settings.store_connections) as aws:
        names = Names(settings.prefix)
        items = {names.table(s.name, item): item for s in services for item in owned(s)}
        store = DynamoStore(aws, {name: item.TABLE for name, item in items.items()})
        clock = SystemClock()
        bus = SnsSqsBus(aws, prefix=settings.prefix)
        runtime = Runtime(settings, ExpiringStore(store, items, clock.now), bus, clock, aws)
        try:
            yield runtime
        finally:
            await bus.drain()
            await store.drain()
            await runtime.rest.close()
