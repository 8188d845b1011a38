"""R10: every kind of unreadable message on every queue of the platform, beside valid messages.

    python -m tests.battery.poison --rounds 2

A real worker consumes every queue, including the dead-letter queues, from a bus and a store in memory. Checks: each dead letter is
stored by `dlq-replay`; no consumer breaker opens; valid messages are handled in under a second (median). Prints one line of
JSON, and exits 1 on a violation.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from libs.common.aws.clients import Aws
from libs.common.bus.base import DeadLetter, Record
from libs.common.bus.encoding import encode
from libs.common.bus.memory import MemoryBus
from libs.common.clock import SystemClock, monotonic
from libs.common.declare.discover import consumed, discover
from libs.common.declare.event import following, root_cause
from libs.common.declare.topology import QueueSpec, topology
from libs.common.handle.runtime import Runtime
from libs.common.hosts.worker import Worker
from libs.common.observe.log import configure
from libs.common.settings import Settings
from libs.common.store.memory import MemoryStore
from libs.common.testing.files import MemoryFiles
from libs.messaging.events.messages import MessageDeleted
from services.dlq_replay.model import DLQMessage

#: Attempts before a failing message is dead-lettered.
MAX_ATTEMPTS = 3
PATIENCE_SECONDS = 120.0


#: Kinds that some service may accept, and kinds that are stored in parts; all others are complete dead letters on every queue.
NOT_ALWAYS_FATAL = {
    "unknown members only",
    "a large text",
    "deep in a batch",
    "numbers",
    "array of arrays",
    "lone surrogate",
}


def nested(levels: int, opening: str = '{"a":', inner: str = "1", closing: str = "}") -> str:
    return opening * levels + inner + closing * levels


def kinds(event_type: str, n: int) -> dict[str, str]:
    """Name of each kind -> body. ``event_type`` is one that the queue's service hears."""
    now = datetime.now(UTC).isoformat()

    made: list[str] = []

    def event(**changes: Any) -> str:
        """Each has a different id, because dead letters of one event are merged."""
        made.append("")
        wire = {
            "specversion": "1.0",
            "id": f"poison-{n}-{len(made)}",
            "source": "test",
            "type": event_type,
            "time": now,
            "data": {},
        }
        return json.dumps({**wire, **changes})

    deep = event(data={"x": 0}).replace('"x": 0', f'"x": {nested(250)}')
    return {
        "empty object": "{}",
        "null": "null",
        "empty array": "[]",
        "numbers": "[1, 2]",
        "array of arrays": "[[], []]",
        "a string": '"hello"',
        "no JSON": f"hello {n}",
        "half JSON": '{"type": "',
        "XML": "<a><b/></a>",
        "250 levels": nested(250),
        "300 arrays": nested(300, "[", "", "]"),
        "1,000 levels": nested(1000),
        "1,023 levels": nested(1023),
        "5,000 levels": nested(5000),
        "deep in an event": deep,
        "deep in a batch": f"[{event(id=f'beside-{n}', type=MessageDeleted.TYPE)},{deep}]",
        "no id": event(id=None),
        "id of the wrong type": event(id={"a": 1}),
        "no data": event(data=None),
        "data of the wrong type": event(data=[1]),
        "unknown members only": event(data={"nobody": "knows"}),
        "no time": event(time="yesterday"),
        "unknown version": event(type=f"{event_type}000"),
        "type is an object": event(type={}),
        "lone surrogate": event(data={"name": "x"}).replace('"x"', '"\\ud83d"'),
        "a large text": event(data={"text": "x" * 150_000}),
        "numbers beyond all bounds": '{"type": "x", "n": ' + "9" * 5000 + "}",
    }


class Watched(MemoryBus):
    """Counts dead letters, and measures the time until valid messages are acknowledged."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.dead: Counter[str] = Counter()
        self.sent: dict[str, float] = {}
        self.seconds: list[float] = []

    async def dead_letter(self, record: Record, letter: DeadLetter) -> None:
        await super().dead_letter(record, letter)
        self.dead[record.queue] += 1

    async def ack(self, record: Record) -> None:
        await super().ack(record)
        if record.body in self.sent:
            self.seconds.append(monotonic() - self.sent.pop(record.body))


@dataclass
class Poisoned:
    """One run."""

    rounds: int
    violations: list[str] = field(default_factory=list)
    #: Queue and body of each expected dead letter.
    fatal: set[tuple[str, str]] = field(default_factory=set)
    breaker_open: set[str] = field(default_factory=set)

    async def run(self) -> dict[str, Any]:
        settings = Settings(stage="test", max_attempts=MAX_ATTEMPTS, concurrency=400)
        services = discover()
        whole = topology(services, settings.prefix)
        bus = Watched(whole, SystemClock())
        store = MemoryStore({spec.name: spec.table for spec in whole.tables})
        runtime = Runtime(settings, store, bus, SystemClock(), Aws())
        runtime.files = MemoryFiles()
        worker = Worker(runtime, services, consumed(services, settings.prefix), poll=0.05, ticking=False)
        running = asyncio.create_task(worker.run())
        heard = {
            f"{settings.prefix}-{service.name}-{on.lane}".removesuffix("-"): on.event.TYPE
            for service in services
            for on in service.hears
        }
        sent = 0
        for n in range(self.rounds):
            for spec in whole.queues:
                sent += await self._feed(bus, spec, heard.get(spec.name, "messages.queued.v1"), n)
        await self._until_quiet(bus, whole.queues, worker)
        worker.stop()
        await running
        return self._figures(bus, store, sent, len(whole.queues))

    async def _feed(self, bus: Watched, spec: QueueSpec, event_type: str, n: int) -> int:
        bodies = kinds(event_type, n)
        for m, (kind, body) in enumerate(bodies.items()):
            await bus.send(spec.name, body, {"type": event_type})
            if kind not in NOT_ALWAYS_FATAL and not spec.feed:
                self.fatal.add((spec.name, body))
            if m % 3 == 0 and not spec.feed:
                await self._neighbour(bus, spec, f"{spec.name}-{n}-{m}")
        return len(bodies)

    async def _neighbour(self, bus: Watched, spec: QueueSpec, name: str) -> None:
        """An event without a handler in this service: it is acknowledged at once."""
        now = datetime.now(UTC)
        event = MessageDeleted(message_id=name, contact_id=name, channel="sms", at=now)
        body = encode(following(root_cause("poison", name), [event], source="test", now=now)[0])
        bus.sent[body] = monotonic()
        await bus.send(spec.name, body, {"type": MessageDeleted.TYPE})

    async def _until_quiet(self, bus: Watched, queues: tuple[QueueSpec, ...], worker: Worker) -> None:
        until = monotonic() + PATIENCE_SECONDS
        while any(bus.peek(spec.name) or bus.peek(spec.dlq) for spec in queues):
            self.breaker_open |= {name for name, reported in worker.health()["queues"].items() if reported["brake"]}
            if monotonic() > until:
                left = {spec.name: len(bus.peek(spec.name)) for spec in queues if bus.peek(spec.name)}
                left |= {spec.dlq: len(bus.peek(spec.dlq)) for spec in queues if bus.peek(spec.dlq)}
                self.violations.append(f"never quiet: {left}")
                return
            await asyncio.sleep(0.05)

    def _figures(self, bus: Watched, store: MemoryStore, sent: int, queues: int) -> dict[str, Any]:
        rows = store.rows("wecare-test-dlq-replay-" + DLQMessage.TABLE.name)
        kept = sum(row["deathCount"] for row in rows)
        dead = bus.dead.total()
        self._hold(kept == dead, f"{dead} dead letters, {kept} kept")
        lost = self.fatal - {(row["queue"], row["body"]) for row in rows}
        self._hold(not lost, f"{len(lost)} were not kept as they came: {sorted(queue for queue, _ in lost)[:5]}")
        self._hold(not self.breaker_open, f"breakers opened: {sorted(self.breaker_open)}")
        median = statistics.median(bus.seconds) if bus.seconds else 0.0
        self._hold(not bus.sent, f"{len(bus.sent)} neighbours were never done with")
        self._hold(median < 1, f"neighbours took {median:.2f} s (median)")
        return {
            "kinds": len(kinds("x", 0)), "queues": queues, "sent": sent, "deadLetters": dead, "kept": kept, "lost": len(lost),
            "breakersOpened": len(self.breaker_open), "neighbours": len(bus.seconds), "medianSeconds": round(median, 3),
        }  # fmt: skip

    def _hold(self, holds: bool, what: str) -> None:
        if not holds:
            self.violations.append(what)


def poison(rounds: int) -> dict[str, Any]:
    """Returns the row for ``battery.json``."""
    one = Poisoned(rounds)
    figure = asyncio.run(one.run())
    return {"row": "R10", "runs": 1, "seeds": [], "violations": one.violations, "figure": figure}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.battery.poison", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="how often every kind goes to every queue")
    rounds = parser.parse_args().rounds
    configure("ERROR")
    row = poison(rounds)
    print(json.dumps(row))
    return 1 if row["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
