"""Receiving a record: the result of each of its events. Most records are delivered twice."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import structlog

from libs.common.bus.base import Record
from libs.common.bus.memory import MemoryBus
from libs.common.clock import ManualClock
from libs.common.declare.event import Envelope, Event, following, root_cause
from libs.common.declare.service import Feed, Service, on
from libs.common.declare.topology import topology
from libs.common.errors import Poison, RetryLater
from libs.common.handle.consumer_breaker import MIN_FAILURES, ConsumerBreaker
from libs.common.handle.context import Context
from libs.common.handle.receive import receive
from libs.common.handle.runtime import Runtime
from libs.common.settings import Settings
from libs.common.store.memory import MemoryStore
from tests.kit.toy import Counted, Greeted, parse


@dataclass
class Bench:
    """A service that fails as an event's ``trouble`` specifies, with its bus."""

    handled: list[str] = field(default_factory=list)
    mended: bool = False

    def __post_init__(self) -> None:
        self.service = Service(
            "bench",
            hears=[
                on(Greeted, self.work, channel=("whatsapp", "sms")),
                on(Greeted, self.aside, channel="email", lane="slow"),
            ],
            says=[Greeted, Counted],
            feeds=[Feed("toy", parse)],
        )
        self.clock = ManualClock()
        settings = Settings(stage="test", build="b7")
        self.topology = topology([self.service], settings.prefix)
        self.bus = MemoryBus(self.topology, self.clock)
        self.runtime = Runtime(settings, MemoryStore({}), self.bus, self.clock, None)  # type: ignore[arg-type]
        self.queue = "wecare-test-bench"

    async def work(self, event: Greeted, ctx: Context) -> list[Event]:
        if not self.mended:
            if event.trouble == "later":
                raise RetryLater(ctx.now + timedelta(seconds=60), "busy")
            if event.trouble == "poison":
                raise Poison(f"no way to greet {event.name}")
            if event.trouble == "broken":
                raise RuntimeError("cannot reach +1 202 555 0123 nor x@example.com, Bearer abc.def")
        self.handled.append(event.name)
        return []

    async def aside(self, event: Greeted, ctx: Context) -> None:
        self.handled.append(f"aside {event.name}")

    async def say(self, *facts: Event) -> None:
        await self.bus.publish(following(root_cause(str(facts)), facts, source="bench", now=self.clock.now()))

    async def take(self, queue: str = "") -> Record:
        (record,) = await self.bus.receive(queue or self.queue, 10, 0)
        return record

    async def handle(self, queue: str = "", breaker: ConsumerBreaker | None = None) -> bool:
        return await receive(self.runtime, self.service, await self.take(queue), breaker)

    def letters(self, queue: str = "") -> list[dict[str, Any]]:
        return [json.loads(record.body) for record in self.bus.peek(f"{queue or self.queue}-dlq")]

    def left(self) -> list[Record]:
        return self.bus.peek(self.queue)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def put(bench: Bench, body: str) -> None:
    bench.bus._send(bench.queue, body, {"type": "toy.greeted.v1"}, 0)


async def test_what_goes_well_is_acknowledged(bench: Bench) -> None:
    await bench.say(Greeted(name="ann"), Greeted(name="bob"))
    assert await bench.handle()
    assert sorted(bench.handled) == ["ann", "bob"]
    assert bench.left() == []


async def test_poison_is_buried_alone_and_its_neighbours_go_through(bench: Bench) -> None:
    await bench.say(Greeted(name="ann"), Greeted(name="bob", trouble="poison"), Greeted(name="cy"))
    assert await bench.handle()
    assert sorted(bench.handled) == ["ann", "cy"]
    (letter,) = bench.letters()
    assert (letter["cause"], letter["exception"], letter["handler"]) == ("rejected", "Poison", "work")
    assert (letter["service"], letter["queue"], letter["build"]) == ("bench", bench.queue, "b7")
    alone = Envelope.from_wire(json.loads(letter["record"]["body"]))
    assert alone.data == Greeted(name="bob", trouble="poison")
    assert (letter["eventId"], letter["correlationId"]) == (alone.id, alone.correlation_id)
    assert letter["record"]["attributes"] == {"type": "toy.greeted.v1", "channel": "whatsapp"}


async def test_later_goes_around_alone_and_spends_no_attempt(bench: Bench) -> None:
    await bench.say(*(Greeted(name=name, trouble="later" if name > "b" else "") for name in ("ann", "cy", "di")))
    assert await bench.handle()
    assert bench.handled == ["ann"]
    assert await bench.bus.receive(bench.queue, 10, 0) == []
    bench.clock.advance(60)
    again = await bench.take()
    assert again.receive_count == 1
    bench.mended = True
    assert await receive(bench.runtime, bench.service, again)
    assert sorted(bench.handled) == ["ann", "cy", "di"]


async def test_a_failure_hides_the_record_and_buries_nothing_yet(bench: Bench) -> None:
    await bench.say(
        Greeted(name="ann"),
        Greeted(name="bob", trouble="broken"),
        Greeted(name="cy", trouble="poison"),
        Greeted(name="di", trouble="later"),
    )
    assert not await bench.handle()
    assert bench.letters() == []
    assert len(bench.left()) == 1


async def test_at_the_last_attempt_each_part_meets_its_own_end(bench: Bench) -> None:
    await bench.say(
        Greeted(name="ann"),
        Greeted(name="bob", trouble="broken"),
        Greeted(name="cy", trouble="poison"),
        Greeted(name="di", trouble="later"),
    )
    for _ in range(7):
        assert not await bench.handle()
        bench.clock.advance(300)
    assert await bench.handle()
    assert sorted(letter["cause"] for letter in bench.letters()) == ["exhausted", "rejected"]
    (renewed,) = bench.left()
    assert json.loads(renewed.body)["data"]["name"] == "di"


async def test_exception_texts_are_redacted_in_letters_and_logs(bench: Bench) -> None:
    await bench.say(Greeted(name="bob", trouble="broken"))
    with structlog.testing.capture_logs() as logs:
        for _ in range(8):
            await bench.handle()
            bench.clock.advance(300)
    (letter,) = bench.letters()
    assert letter["text"] == "cannot reach [phone] nor [email], [token]"
    assert {entry["why"] for entry in logs if "why" in entry} == {letter["text"]}
    assert all(entry["event_id"] == letter["eventId"] for entry in logs if "why" in entry)


@pytest.mark.parametrize("body", ["", "{", "7", "[]", '"text"', "nothing"])
async def test_a_record_that_is_no_json_object_is_buried_whole(bench: Bench, body: str) -> None:
    put(bench, body)
    assert await bench.handle()
    (letter,) = bench.letters()
    assert (letter["cause"], letter["record"]["body"]) == ("malformed", body)


@pytest.mark.parametrize(
    ("wire", "cause"),
    [
        ({"type": "toy.greeted.v9", "id": "1", "data": {}}, "version"),
        ({"type": "toy.greeted.v1", "id": "1", "data": {}}, "malformed"),
        ({"id": "1"}, "malformed"),
        (7, "malformed"),
        (None, "malformed"),
    ],
)
async def test_an_event_that_cannot_be_read_is_buried_and_its_neighbour_goes_through(
    bench: Bench, wire: Any, cause: str
) -> None:
    await bench.say(Greeted(name="ann"))
    good = json.loads((await bench.take()).body)
    put(bench, json.dumps([wire, good]))
    assert await bench.handle()
    assert bench.handled == ["ann"]
    (letter,) = bench.letters()
    assert letter["cause"] == cause
    assert json.loads(letter["record"]["body"]) == wire


async def test_an_event_that_nobody_hears_or_wants_is_acknowledged(bench: Bench) -> None:
    counted = following(root_cause("x"), [Counted(name="a", count=1)], source="bench", now=bench.clock.now())
    unwanted = following(root_cause("x"), [Greeted(name="a", channel="voice")], source="bench", now=bench.clock.now())
    put(bench, json.dumps([envelope.to_wire() for envelope in [*counted, *unwanted]]))
    assert await bench.handle()
    assert (bench.handled, bench.letters(), bench.left()) == ([], [], [])


async def test_each_lane_runs_its_own_handlers_only(bench: Bench) -> None:
    await bench.say(Greeted(name="ann", channel="email"), Greeted(name="bob", channel="sms"))
    await bench.handle(f"{bench.queue}-slow")
    assert bench.handled == ["aside ann"]
    await bench.handle()
    assert bench.handled == ["aside ann", "bob"]


async def test_a_feed_is_translated_and_what_cannot_be_is_buried_with_its_reason(bench: Bench) -> None:
    feed = f"{bench.queue}-feed-toy"
    for body in ("hi ann", "what?"):
        await bench.bus.publish_raw("wecare-test-feed-toy", body)
        for record in await bench.bus.receive(feed, 10, 0):
            assert await receive(bench.runtime, bench.service, record)
            assert await receive(bench.runtime, bench.service, record)
    for record in await bench.bus.receive(bench.queue, 10, 0):
        await receive(bench.runtime, bench.service, record)
    assert set(bench.handled) == {"ann"}
    assert {(x["cause"], x["text"], x["handler"]) for x in bench.letters(feed)} == {
        ("malformed", "a greeting starts with hi", "toy")
    }


async def test_a_record_of_a_strange_queue_is_refused(bench: Bench) -> None:
    with pytest.raises(LookupError, match="no queue of bench"):
        await receive(bench.runtime, bench.service, Record("wecare-test-other", "1", "{}"))


async def test_while_nearly_everything_fails_nothing_is_buried(bench: Bench) -> None:
    breaker = ConsumerBreaker()
    for n in range(MIN_FAILURES + 20):
        await bench.say(Greeted(name=f"n{n}", trouble="poison"))
        await bench.handle(breaker=breaker)
    assert breaker.open
    assert len(bench.letters()) == MIN_FAILURES - 1


async def test_malformed_input_never_brakes_a_queue_alone_or_in_batches(bench: Bench) -> None:
    breaker = ConsumerBreaker()
    broken = Greeted(name="x").model_dump() | {"name": 5}
    typed = {"type": Greeted.TYPE, "id": "1", "source": "s", "time": "2026-01-15T12:00:00Z", "data": broken}
    for body in ("", "{}", "null", "[" * 500, json.dumps(typed), json.dumps([typed] * 60), json.dumps([[]] * 60)):
        for _ in range(2 * MIN_FAILURES):
            put(bench, body)
            await bench.handle(breaker=breaker)
            assert not breaker.open
    assert bench.left() == []
    assert {letter["cause"] for letter in bench.letters()} == {"malformed"}


async def test_retries_of_many_records_brake_a_process_that_never_saw_them_before(bench: Bench) -> None:
    for n in range(MIN_FAILURES):
        await bench.say(Greeted(name=f"n{n}", trouble="broken"))
    for _ in range(3):
        breaker = ConsumerBreaker()
        while records := await bench.bus.receive(bench.queue, 10, 0):
            for record in records:
                await receive(bench.runtime, bench.service, record, breaker)
        assert breaker.open
        bench.clock.advance(400)


async def test_later_and_a_minority_of_failures_say_nothing_about_us(bench: Bench) -> None:
    breaker = ConsumerBreaker()
    for n in range(2 * MIN_FAILURES):
        await bench.say(Greeted(name=f"n{n}", trouble="later"))
        await bench.handle(breaker=breaker)
        await bench.say(Greeted(name=f"m{n}"), Greeted(name=f"o{n}"), Greeted(name=f"p{n}", trouble="poison"))
        await bench.handle(breaker=breaker)
    assert not breaker.open


async def test_a_record_stays_if_its_letter_cannot_be_sent(bench: Bench) -> None:
    async def down(*_: object) -> None:
        raise ConnectionError

    bench.bus.dead_letter = down  # type: ignore[method-assign]
    await bench.say(Greeted(name="bob", trouble="poison"))
    with pytest.raises(ConnectionError):
        await bench.handle()
    assert len(bench.left()) == 1
