"""R23: ten thousand dead letters replayed by two jobs at once, half of them sent already, one replayer killed midway.

    .venv/bin/python -m tests.battery.dlq_storm --letters 10000 --rate 10

On the embedded AWS: real tables, queues and workers, a replayer in a separate process that gets SIGKILL, and a provider
with a ledger of accepted messages. Two jobs over the same dead letters start at the same time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import httpx

from deploy.local import resources
from deploy.local.stack import Stack
from libs.common.aws.clients import Aws
from libs.common.bus.base import DeadLetter, Record
from libs.common.bus.sns_sqs import SnsSqsBus
from libs.common.clock import SystemClock
from libs.common.declare.event import Envelope, following, root_cause
from libs.common.declare.service import Service
from libs.common.declare.topology import topology
from libs.common.handle.runtime import Runtime
from libs.common.hosts.http.api import create_app
from libs.common.hosts.worker import Worker
from libs.common.observe.log import configure
from libs.common.settings import Settings
from libs.common.store.dynamodb import DynamoStore
from libs.common.testing.world import FakeVerifier
from libs.messaging.channels import Channel
from libs.messaging.content import Text
from libs.messaging.events.messages import MessageQueued
from libs.messaging.permission import Permission
from libs.messaging.permission_copy import PermissionCopy
from libs.messaging.vocabulary import MessageClass
from services.dlq_replay.service import service as workbench
from services.outbound.limits.rates import Limits
from tests.services.outbound.kit import NAME, Fake, fake_sender

#: Concurrency of the set-up.
FLIGHT = 200


@dataclass
class Figures:
    """``rates`` are those of the two jobs; ``violations`` describes each failed check."""

    letters: int
    asked_rate: float
    rates: list[float]
    sent: int
    skipped: int
    doubled: int
    lost: int
    not_replayed: int
    killed: bool
    seconds: float
    violations: list[str]


class Stage:
    """A sender, `dlq-replay` and a service that queues messages, on a separate AWS."""

    def __init__(self, environment: dict[str, str], stage: str) -> None:
        self.environment = environment
        self.fake = Fake()
        self.sender = fake_sender(self.fake, Limits(per_second=100_000, in_flight=500))
        heard = {on.event for service in (self.sender, workbench) for on in service.hears}
        said = {event for service in (self.sender, workbench) for event in service.says}
        self.test = Service("test", says=sorted(heard - said, key=lambda event: event.TYPE))
        self.services = [self.sender, workbench, self.test]
        self.settings = Settings(stage=stage, send_mode="LIVE", max_attempts=3, concurrency=200, drain_seconds=5)
        self.topology = topology(self.services, self.settings.prefix)

    def provision(self) -> None:
        def client(service: str) -> Any:
            return boto3.client(
                service,
                endpoint_url=self.environment["AWS_ENDPOINT_URL"],
                region_name=self.environment["AWS_REGION"],
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )

        resources.provision(self.topology, client)

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Runtime]:
        """The runtime of one process; it uses this process's AWS."""
        async with Aws(connections=300, environment=self.environment) as aws:
            store = DynamoStore(aws, {spec.name: spec.table for spec in self.topology.tables})
            bus = SnsSqsBus(aws, self.settings.prefix)
            try:
                yield Runtime(self.settings, store, bus, SystemClock(), aws)
            finally:
                await bus.drain()
                await store.drain()

    @asynccontextmanager
    async def working(self, runtime: Runtime, *services: Service) -> AsyncIterator[None]:
        names = {service.name for service in services}
        queues = [spec for spec in (*self.topology.queues, *self.topology.dead_letter_queues) if spec.service in names]
        worker = Worker(runtime, services, queues, poll=1)
        running = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            worker.stop()
            await running


async def storm(environment: dict[str, str], letters: int, rate: float, kill: bool = True) -> Figures:
    """Prepare the dead letters, run the replays, count."""
    stage = Stage(environment, f"storm{uuid4().hex[:8]}")
    stage.provision()
    begun = time.monotonic()
    # An emulator on a busy machine handles little more than ten dead letters a second end to end.
    patience = 120 + letters / 5
    async with stage.process() as runtime:
        events = await _queued(stage, runtime, letters)
        async with stage.working(runtime, stage.sender, workbench):
            half = letters // 2
            for start in range(0, half, FLIGHT):
                # At most the concurrency of the sender: a deferred message costs as much as a sent one.
                await runtime.bus.publish(events[start : min(start + FLIGHT, half)])
                sent = min(start + FLIGHT, half)
                await _until(f"{sent} of {half} to be sent", lambda n=sent: stage.fake.accepted.total() == n, patience)
            await _each(events, lambda event: _dead_letter(stage, runtime, event))
            api = httpx.AsyncClient(
                transport=httpx.ASGITransport(create_app(runtime, stage.services, FakeVerifier())),
                base_url="http://storm",
                headers={"Authorization": "Bearer OPERATOR"},
            )
            await _until("the letters to be kept", lambda: _total(api, letters), patience)
        # From here on the sender and one replayer run in this process, the other replayer in a separate one.
        other = await _replayer(stage) if kill else None
        async with stage.working(runtime, stage.sender, workbench):
            ask = {"filter": {}, "limit": letters, "rate": rate}
            asked = await asyncio.gather(*(api.post("/api/dlq/replay", json=ask) for _ in range(2)))
            paths = [f"/api/dlq/jobs/{answer.json()['jobId']}" for answer in asked]
            if other is not None:
                await _until(
                    "a third to be replayed", lambda: _position(api, paths, letters // 3), patience + letters / rate
                )
                os.kill(other.pid, signal.SIGKILL)
                await other.wait()
            await _until("both jobs to be done", lambda: _done(api, paths), patience + 3 * letters / rate)
            await _until("all to be sent", lambda: len(stage.fake.accepted) == letters, patience)
            await _until("the queues to be empty", lambda: _quiet(stage, runtime), patience)
        jobs = [(await api.get(path)).json() for path in paths]
        left = (await api.get("/api/dlq/groups")).json()["total"]
        await api.aclose()
    return _judged(stage, jobs, letters, rate, left, other is not None, time.monotonic() - begun)


def _judged(
    stage: Stage, jobs: list[dict[str, Any]], letters: int, rate: float, left: int, killed: bool, seconds: float
) -> Figures:
    sent, skipped = (sum(job[name] for job in jobs) for name in ("sent", "skipped"))
    figures = Figures(
        letters=letters,
        asked_rate=rate,
        rates=[job.get("actualRate", 0.0) for job in jobs],
        sent=sent,
        skipped=skipped,
        doubled=sum(count > 1 for count in stage.fake.accepted.values()),
        lost=letters - len(stage.fake.accepted),
        not_replayed=left,
        killed=killed,
        seconds=round(seconds, 1),
        violations=[],
    )
    wanted = {"doubled": 0, "lost": 0, "not_replayed": 0, "sent": letters, "skipped": letters}
    figures.violations = [
        f"{name} is {getattr(figures, name)}" for name, n in wanted.items() if getattr(figures, name) != n
    ]
    return figures


def too_fast_or_slow(figures: Figures) -> list[str]:
    """Jobs whose rate differs by more than 5 %. The job of a killed replayer pauses for a lease; that time is allowed."""
    lease = 10 / max(1.0, figures.letters / 2 / figures.asked_rate) if figures.killed else 0.0
    low, high = 1 / (1.05 + lease), 1.05
    return [f"rate {each}" for each in figures.rates if not low <= each / figures.asked_rate <= high]


async def _queued(stage: Stage, runtime: Runtime, count: int) -> list[Envelope]:
    """Messages to as many contacts with consent."""
    now = runtime.clock.now()
    table = runtime.context(stage.sender)

    async def permit(n: int) -> None:
        standing = Permission(
            contact_id=f"contact-{n}", channel=Channel.WHATSAPP, revision=1, address="+12025550143", opted_in=True,
            last_inbound_at=now,
        )  # fmt: skip
        await table.write(table.insert(PermissionCopy.of(standing)))

    await _each(range(count), permit)
    events = [
        MessageQueued(
            message_id=f"m{n}", contact_id=f"contact-{n}", channel=Channel.WHATSAPP,
            message_class=MessageClass.TRANSACTIONAL, content=Text(body="Hello"), queued_at=now,
            expires_at=now + timedelta(hours=24),
        )
        for n in range(count)
    ]  # fmt: skip
    return [following(root_cause("storm", event.message_id), [event], source="test", now=now)[0] for event in events]


async def _dead_letter(stage: Stage, runtime: Runtime, event: Envelope) -> None:
    queue = f"{stage.settings.prefix}-{NAME}-tx"
    body = json.dumps(event.to_wire())
    record = Record(queue, f"sqs-{event.id}", body, event.attributes(), 3, handle="none")
    letter = DeadLetter(
        "exhausted", "TimeoutError", "the table did not answer", queue, NAME, "queued", "b1", record, event.id, event.type,
        event.correlation_id, runtime.clock.now(),
    )  # fmt: skip
    await runtime.bus.dead_letter(record, letter)


async def _replayer(stage: Stage) -> asyncio.subprocess.Process:
    """A process that only stores and replays dead letters."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.battery.dlq_storm", "--replayer", stage.settings.stage,
        env={**os.environ, **stage.environment}, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


async def _replay_until_killed(stage: Stage) -> None:
    async with stage.process() as runtime, stage.working(runtime, workbench):
        await asyncio.Event().wait()


async def _total(api: httpx.AsyncClient, wanted: int) -> bool:
    return bool((await api.get("/api/dlq/groups")).json()["total"] == wanted)


async def _position(api: httpx.AsyncClient, paths: Sequence[str], wanted: int) -> bool:
    return sum([(await api.get(path)).json()["sent"] for path in paths]) >= wanted


async def _done(api: httpx.AsyncClient, paths: Sequence[str]) -> bool:
    return {(await api.get(path)).json()["state"] for path in paths} == {"done"}


async def _quiet(stage: Stage, runtime: Runtime) -> bool:
    sqs = await runtime.aws.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    for spec in (*stage.topology.queues, *stage.topology.dead_letter_queues):
        url = (await sqs.get_queue_url(QueueName=spec.name))["QueueUrl"]
        reported = (await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names))["Attributes"]
        if any(int(reported[name]) for name in names):
            return False
    return True


async def _each(things: Any, work: Any) -> None:
    gate = asyncio.Semaphore(FLIGHT)

    async def one(thing: Any) -> None:
        async with gate:
            await work(thing)

    await asyncio.gather(*(one(thing) for thing in things))


async def _until(what: str, look: Any, seconds: float) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} waiting for {what}\n")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen = look()
        if await seen if asyncio.iscoroutine(seen) else seen:
            return
        await asyncio.sleep(1)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.battery.dlq_storm", description=__doc__)
    parser.add_argument("--letters", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=10, help="dead letters per second, of each of the two jobs")
    parser.add_argument("--no-kill", action="store_true", help="kill no replayer")
    parser.add_argument("--replayer", metavar="STAGE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replayer:
        with suppress(KeyboardInterrupt):
            asyncio.run(_replay_until_killed(Stage(_environment(os.environ["AWS_ENDPOINT_URL"]), options.replayer)))
        return 0
    configure("ERROR")
    with (
        tempfile.TemporaryDirectory(prefix="wecare-storm-") as folder,
        Stack(Path(folder), only=["aws"], provision=None) as stack,
    ):
        environment = _environment(stack.aws_url)
        figures = asyncio.run(storm(environment, options.letters, options.rate, not options.no_kill))
    figures.violations += too_fast_or_slow(figures)
    row = {"row": "R23", "runs": 1, "seeds": [], "violations": len(figures.violations), "figure": asdict(figures)}
    sys.stdout.write(json.dumps(row, indent=1) + "\n")
    return 1 if figures.violations else 0


def _environment(url: str) -> dict[str, str]:
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    return {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", **credentials}


if __name__ == "__main__":
    sys.exit(main())
