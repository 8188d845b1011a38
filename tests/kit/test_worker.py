"""The worker: it polls continuously, extends visibility, opens its breaker, and stops without losing records."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog

from deploy.local import resources
from libs.common.aws.clients import Aws
from libs.common.bus.base import Bus, Record
from libs.common.bus.memory import MemoryBus
from libs.common.bus.sns_sqs import SnsSqsBus
from libs.common.clock import SystemClock
from libs.common.declare.event import Event, following, root_cause
from libs.common.declare.service import Every, Service, on
from libs.common.declare.topology import Topology, topology
from libs.common.errors import Poison
from libs.common.handle.context import Context
from libs.common.handle.runtime import Runtime
from libs.common.hosts.inflight_limiter import InflightLimiter
from libs.common.hosts.lambda_ import LambdaHost
from libs.common.hosts.worker import Worker
from libs.common.hosts.worker_process import run_until_signal, serve_health
from libs.common.observe import metrics
from libs.common.settings import Settings
from libs.common.store.memory import MemoryStore
from libs.common.testing.fault_proxy import FaultProxy, Rule
from tests.kit.test_buses import QuickClock, _client
from tests.kit.toy import Greeted

SETTINGS = Settings(stage="test", drain_seconds=5)
QUEUE = "wecare-test-bench"


@dataclass
class Bench:
    """``work`` is what the service's handler does; ``handled`` counts its calls by name."""

    work: Callable[[str], Awaitable[object]]
    settings: Settings = SETTINGS
    clock: SystemClock = field(default_factory=SystemClock)
    visibility: float = 30
    bus: Any = None
    handled: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        hears = [on(Greeted, self._hear, channel="whatsapp"), on(Greeted, self._hear, channel="sms", lane="slow")]
        self.service = Service("bench", hears=hears, says=[Greeted])
        self.topology = self.shape(self.settings.prefix)
        self.bus = self.bus or MemoryBus(self.topology, self.clock)
        self.runtime = Runtime(self.settings, MemoryStore({}), self.bus, self.clock, Aws())
        self.changed = asyncio.Event()

    def shape(self, prefix: str) -> Topology:
        whole = topology([self.service], prefix)
        short: Any = self.visibility
        return replace(whole, queues=tuple(replace(spec, visibility=short) for spec in whole.queues))

    async def _hear(self, event: Greeted, ctx: Context) -> list[Event]:
        self.handled[event.name] += 1
        self.changed.set()
        await self.work(event.name)
        return []

    async def say(self, names: Iterable[str], channel: str = "whatsapp") -> None:
        """Each in a message of its own."""
        for name in names:
            fact = Greeted(name=name, channel=channel)
            await self.bus.publish(following(root_cause(name), [fact], source="bench", now=self.clock.now()))

    async def until(self, condition: Callable[[], object], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - the condition is of many things
                await asyncio.sleep(0.01)

    def left(self, queue: str = QUEUE) -> list[Record]:
        found: list[Record] = self.bus.peek(queue)
        return found

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Worker]:
        worker = Worker(self.runtime, [self.service], self.topology.queues, poll=0.1)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await running


async def nothing(_: str) -> None:
    return None


def names(count: int, letter: str = "n") -> list[str]:
    return [f"{letter}{n}" for n in range(count)]


async def test_everything_is_handled_once_and_acknowledged() -> None:
    bench = Bench(nothing)
    async with bench.working():
        await bench.say(names(300))
        await bench.until(lambda: len(bench.handled) == 300 and not bench.left())
    assert set(bench.handled.values()) == {1}


async def test_a_slow_record_does_not_hold_up_those_taken_with_it() -> None:
    gate = asyncio.Event()

    async def work(name: str) -> None:
        if name == "n0":
            await gate.wait()

    bench = Bench(work)
    await bench.say(names(100))
    async with bench.working():
        await bench.until(lambda: len(bench.left()) == 1)
        gate.set()
        await bench.until(lambda: not bench.left())


async def test_a_stuck_queue_leaves_room_for_the_others() -> None:
    gate = asyncio.Event()

    async def work(name: str) -> None:
        if name.startswith("slow"):
            await gate.wait()

    bench = Bench(work, settings=Settings(stage="test", concurrency=20))
    await bench.say(names(200, "slow"), channel="sms")
    async with bench.working():
        await bench.until(lambda: len(bench.handled) >= 15)
        await bench.say(names(100, "quick"))
        await bench.until(lambda: not bench.left())
        assert sum(name.startswith("slow") for name in bench.handled) <= 40
        gate.set()
        await bench.until(lambda: not bench.left(f"{QUEUE}-slow"))


async def test_what_is_still_being_handled_is_not_handed_out_again() -> None:
    async def work(name: str) -> None:
        await asyncio.sleep(2.5 if name == "n0" else 0)

    # A machine under load may be late by half of it.
    bench = Bench(work, visibility=1)
    await bench.say(names(20))
    async with bench.working(), bench.working():
        await bench.until(lambda: not bench.left())
    assert set(bench.handled.values()) == {1}


async def test_a_stop_lets_what_is_running_finish_and_takes_nothing_more() -> None:
    bench = Bench(lambda _: asyncio.sleep(0.2), settings=Settings(stage="test", concurrency=10, drain_seconds=5))
    await bench.say(names(60))
    async with bench.working() as worker:
        await bench.until(lambda: bench.handled)
        worker.stop()
    assert len(bench.left()) + len(bench.handled) == 60
    assert len(bench.handled) <= 20
    again = await bench.bus.receive(QUEUE, 10, 0)
    assert len(again) == 10


async def test_what_does_not_finish_in_time_is_shown_to_others_at_once() -> None:
    bench = Bench(lambda _: asyncio.sleep(60), settings=Settings(stage="test", drain_seconds=0.1))
    await bench.say(names(5))
    async with bench.working() as worker:
        await bench.until(lambda: len(bench.handled) == 5)
        worker.stop()
    assert len(await bench.bus.receive(QUEUE, 10, 0)) == 5


async def test_poison_goes_to_the_dead_letters_and_the_rest_is_handled() -> None:
    async def work(name: str) -> None:
        if name.endswith("7"):
            raise Poison("seven")

    bench = Bench(work)
    await bench.say(names(100))
    async with bench.working():
        await bench.until(lambda: not bench.left())
    assert len(bench.handled) == 100
    letters = [json.loads(record.body) for record in bench.left(f"{QUEUE}-dlq")]
    dead = {json.loads(letter["record"]["body"])["data"]["name"] for letter in letters}
    assert dead == {name for name in bench.handled if name.endswith("7")}
    assert len(letters) == 10
    assert {x["cause"] for x in letters} == {"rejected"}


@pytest.mark.parametrize("attempts", [1, 8])
async def test_a_bad_deploy_is_braked_and_everything_is_handled_once_it_is_mended(attempts: int) -> None:
    broken = True

    async def work(_: str) -> None:
        if broken:
            raise RuntimeError("bad deploy")

    bench = Bench(work, settings=Settings(stage="test", max_attempts=attempts), clock=QuickClock())
    await bench.say(names(1000))
    with structlog.testing.capture_logs() as lines:
        async with bench.working() as worker:
            await bench.until(lambda: worker.health()["queues"][QUEUE]["brake"])
            await asyncio.sleep(1.2)
            assert bench.handled.total() < 250
            why = worker.health()["queues"][QUEUE]["why"]
            broken = False
            await bench.until(lambda: not bench.left())
            assert worker.health()["queues"][QUEUE].keys() == {"polledSecondsAgo", "brake"}
    assert re.fullmatch(r"\d+ of the last \d+ failed, lately with RuntimeError in _hear", why)
    reported = [line for line in lines if line["event"].startswith("consumer breaker")]
    assert reported[0]["log_level"] == "error"
    assert "RuntimeError in _hear" in reported[0]["why"]
    assert reported[-1]["event"] == "consumer breaker closed: one went through"
    assert len(bench.left(f"{QUEUE}-dlq")) <= 50
    assert len(bench.handled) == 1000


async def test_a_bad_deploy_that_rejects_packs_of_events_buries_next_to_nothing() -> None:
    """The dead letters of a bad deploy are at most the larger of 50 and 5 %, however many events come in one message."""
    broken = True

    async def work(_: str) -> None:
        if broken:
            raise Poison("bad deploy")

    bench = Bench(work, clock=QuickClock())
    facts = [Greeted(name=name) for name in names(2000)]
    await bench.bus.publish(following(root_cause("packs"), facts, source="bench", now=bench.clock.now()))
    assert len(bench.left()) == 20
    async with bench.working() as worker:
        await bench.until(lambda: worker.health()["queues"][QUEUE]["brake"])
        await asyncio.sleep(1.2)
        assert len(bench.left(f"{QUEUE}-dlq")) <= 100
        broken = False
        await bench.until(lambda: not bench.left())
    assert len(bench.left(f"{QUEUE}-dlq")) <= 100
    assert len(bench.handled) == 2000


async def test_a_pack_of_poison_among_good_records_is_buried_in_the_end_and_the_good_ones_go_through() -> None:
    async def work(name: str) -> None:
        if name.startswith("bad"):
            raise Poison("never")

    bench = Bench(work, settings=Settings(stage="test", max_attempts=2), clock=QuickClock())
    poison = [Greeted(name=name) for name in names(60, "bad")]
    await bench.bus.publish(following(root_cause("pack"), poison, source="bench", now=bench.clock.now()))
    await bench.say(names(100))
    async with bench.working():
        await bench.until(lambda: not bench.left(), 30)
    assert set(names(100)) <= set(bench.handled)
    assert len(bench.left(f"{QUEUE}-dlq")) == 60


async def test_a_tick_that_fails_stops_neither_itself_nor_the_others() -> None:
    seen: Counter[str] = Counter()

    async def failing(_: Context) -> AsyncIterator[Any]:
        seen["failing"] += 1
        raise RuntimeError("no")
        yield

    async def fine(_: Context) -> AsyncIterator[Any]:
        seen["fine"] += 1
        return
        yield

    bench = Bench(nothing)
    often: Any = 0.02
    bench.service = replace(bench.service, every=[Every(often, failing), Every(often, fine)])
    async with bench.working():
        await bench.until(lambda: seen["failing"] > 2 and seen["fine"] > 2)


class Flaky(MemoryBus):
    broken = True

    async def receive(self, queue: str, maximum: int, wait: float) -> list[Record]:
        if self.broken:
            raise ConnectionError("away")
        return await super().receive(queue, maximum, wait)


async def test_polling_goes_on_after_the_bus_was_away() -> None:
    bench = Bench(nothing)
    bench.bus = bench.runtime.bus = Flaky(bench.topology, bench.clock)
    async with bench.working() as worker:
        await bench.say(["ann"])
        await asyncio.sleep(0.1)
        assert worker.health()["alive"]
        bench.bus.broken = False
        await bench.until(lambda: bench.handled["ann"])


async def test_a_signal_stops_the_process_gently_and_health_is_told_meanwhile() -> None:
    bench = Bench(lambda _: asyncio.sleep(0.1))
    worker = Worker(bench.runtime, [bench.service], poll=0.1)
    running = asyncio.create_task(run_until_signal(worker))
    await bench.say(["ann"])
    await bench.until(lambda: bench.handled["ann"])
    server = await serve_health(worker, 0, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{port}/health")
        assert (answer.status_code, answer.json()["alive"]) == (200, True)
        assert set(answer.json()["queues"]) == {QUEUE, f"{QUEUE}-slow"}
        metrics.count("greetings_lost", channel="sms")
        reported = await http.get(f"http://127.0.0.1:{port}/metrics")
        assert reported.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'wecare_greetings_lost_total{channel="sms"} 1' in reported.text.splitlines()
        os.kill(os.getpid(), signal.SIGTERM)
        await running
        assert (await http.get(f"http://127.0.0.1:{port}/health")).status_code == 503
    server.close()
    assert bench.left() == []


def test_room_is_kept_for_each_queue_and_the_rest_is_shared() -> None:
    room = InflightLimiter(20, ["a", "b"])
    assert room.free("a") == 15
    for _ in range(15):
        room.acquire("a")
    assert (room.free("a"), room.free("b")) == (0, 5)
    room.release("a")
    assert (room.free("a"), room.free("b")) == (1, 6)
    assert InflightLimiter(8, ["only"]).free("only") == 8


async def test_lambda_names_what_must_come_back_and_deletes_nothing_itself() -> None:
    async def work(name: str) -> None:
        if name == "bad":
            raise RuntimeError("no")

    bench = Bench(work)
    await bench.say(["ann", "bad"])
    host = LambdaHost(bench.runtime, [bench.service])
    records = await _taken(bench)
    answer = await host.records({"Records": records})
    (bad,) = [x["messageId"] for x in records if '"bad"' in x["body"]]
    recorded = json.loads((Path(__file__).parent / "samples/sqs.lambda.partial-batch-response.json").read_text())
    recorded["batchItemFailures"][0]["itemIdentifier"] = bad
    assert answer == recorded
    with pytest.raises(LookupError):
        await host.tick("nothing")


async def _taken(bench: Bench) -> list[dict[str, Any]]:
    """Up to ten records, as an event source mapping hands them on."""
    return [
        {
            "messageId": record.id,
            "receiptHandle": record.handle,
            "body": record.body,
            "attributes": {"ApproximateReceiveCount": str(record.receive_count), "SentTimestamp": "1795558113584"},
            "messageAttributes": {"type": {"stringValue": "toy.greeted.v1", "dataType": "String"}},
            "eventSourceARN": f"arn:aws:sqs:us-east-1:000000000000:{record.queue}",
        }
        for record in await bench.bus.receive(QUEUE, 10, 0)
    ]


async def test_on_lambda_a_bad_deploy_buries_no_more_than_on_a_worker() -> None:
    broken = True

    async def work(_: str) -> None:
        if broken:
            raise Poison("bad deploy")

    bench = Bench(work)
    host = LambdaHost(bench.runtime, [bench.service])
    await bench.say(names(300))
    with structlog.testing.capture_logs() as lines:
        for _ in range(30):
            await host.records({"Records": await _taken(bench)})
    assert len(bench.left(f"{QUEUE}-dlq")) <= 50
    assert any(
        "Poison in _hear" in line.get("why", "") for line in lines if line["event"].startswith("consumer breaker")
    )
    broken = False
    await bench.say(names(100, "m"))
    while records := await _taken(bench):
        await host.records({"Records": records})
    assert set(names(100, "m")) <= set(bench.handled)
    assert len(bench.left(f"{QUEUE}-dlq")) <= 50


# -- on the embedded AWS ---------------------------------------------------------------------------


@asynccontextmanager
async def real(emulator: dict[str, str], url: str, work: Callable[[str], Awaitable[object]]) -> AsyncIterator[Bench]:
    settings = Settings(stage=f"t{uuid4().hex[:8]}", drain_seconds=5)
    async with Aws(environment={**emulator, "AWS_ENDPOINT_URL": url}) as aws:
        bus: Bus = SnsSqsBus(aws, settings.prefix)
        bench = Bench(work, settings=settings, visibility=1, bus=bus)
        resources.provision(bench.topology, lambda service: _client(emulator["AWS_ENDPOINT_URL"], service))
        yield bench


async def test_on_sqs_a_slow_handler_keeps_its_record_and_nothing_is_handled_twice(emulator: dict[str, str]) -> None:
    slow = asyncio.Event()

    async def work(name: str) -> None:
        if name == "n0":
            await asyncio.sleep(3)
            slow.set()

    async with real(emulator, emulator["AWS_ENDPOINT_URL"], work) as bench:
        await bench.say(names(50))
        async with bench.working(), bench.working():
            await slow.wait()
        assert bench.handled == Counter(names(50))
        assert await bench.bus.receive(f"{bench.settings.prefix}-bench", 10, 0) == []


async def test_on_sqs_work_goes_on_when_aws_was_away(emulator: dict[str, str]) -> None:
    async with (
        FaultProxy(emulator["AWS_ENDPOINT_URL"]) as proxy,
        real(emulator, proxy.url, nothing) as bench,
        bench.working(),
    ):
        await bench.say(["ann"])
        await bench.until(lambda: bench.handled["ann"])
        proxy.rules.append(Rule("reset"))
        before = proxy.calls["sqs", "ReceiveMessage"]
        await bench.until(lambda: proxy.calls["sqs", "ReceiveMessage"] > before + 3)
        proxy.rules.clear()
        await bench.say(["bob"])
        await bench.until(lambda: bench.handled["bob"], 20)
