"""Dead letters that nobody meant to write: kept as they came, within the limits of the tables, and off their queue."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.common.errors import RetryLater
from services.dlq_replay.model import DLQMessage, Watched
from tests.services.dlq_replay.kit import DLQ, QUEUE, Bench, Greeted

LONG = "x" * 120_000
#: An index key may have 1,024 bytes, a table's key 2,048, and a row 400 KB (AWS, "Quotas in Amazon DynamoDB").
MAX_KEY_BYTES = 1024
MAX_ROW_BYTES = 400_000


def wire(**changes: Any) -> str:
    event = {
        "specversion": "1.0", "id": "e1", "source": "test", "type": Greeted.TYPE, "time": "2026-01-15T12:00:00Z",
        "data": {"name": "ann"},
    }  # fmt: skip
    return json.dumps({**event, **changes})


def ours(**changes: Any) -> str:
    """What looks like a dead letter of ours."""
    record = {"id": "r1", "body": "{}", "attributes": {}, "receiveCount": 1, "sentAt": None, "firstReceivedAt": None}
    dead_letter = {"cause": "rejected", "queue": QUEUE, "service": "shop", "text": "", "record": record}
    return json.dumps({**dead_letter, **changes})


BODIES = {
    "no JSON": "hello",
    "5,000 levels": "[" * 5000 + "]" * 5000,
    "900 levels in a batch": f"[{wire()}, {'[' * 900}{']' * 900}]",
    "an id that is no key": wire(id=LONG + LONG),
    "a type that is no name": wire(type=LONG + LONG),
    "a type of characters that are four bytes each": wire(type="\U0001f600" * 190, data={"channel": "\U0001f601" * 190}),
    "a message that is no id": wire(data={"messageId": LONG, "contactId": LONG}),
    "a trace that is none": wire(traceparent=LONG, correlationid=LONG),
    "a cause that is no text": ours(cause={"a": 1}),
    "a record that is none": ours(record=[1]),
    "a record whose body is no text": ours(record={"id": "r1", "body": {"a": 1}}),
    "a time that is none": ours(diedAt="yesterday"),
    "a time without an offset": ours(diedAt="2026-01-15T12:00:00"),
    "bytes that are not compressed": ours(record={"id": "r1", "bodyGzip": b64encode(b"\x1f\x8b\x08" + b"x" * 50).decode()}),
    "bytes that are huge once unpacked": ours(record={"id": "r1", "bodyGzip": b64encode(gzip.compress(bytes(20_000_000))).decode()}),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
async def test_whatever_lies_on_a_dead_letter_queue_is_kept_as_it_came(name: str) -> None:
    bench, body = Bench(), BODIES[name]
    await bench.world.bus.send(DLQ, body, {"type": "x", "letter": "l" * 3000, "replay": "9" * 5000})
    await bench.world.settle()
    assert bench.world.bus.peek(DLQ) == []
    (row,) = bench.world.store.rows("wecare-test-dlq-replay-" + DLQMessage.TABLE.name)
    assert (row["body"], row["cause"]) == (body, "unhandled")
    assert len(row["slot"].encode()) <= MAX_KEY_BYTES
    assert len(json.dumps(row, ensure_ascii=False).encode()) <= MAX_ROW_BYTES
    for watched in bench.world.store.rows("wecare-test-dlq-replay-" + Watched.TABLE.name):
        assert len(watched["messageId"]) <= MAX_KEY_BYTES
    dead_letter = await bench.show(await bench.only())
    assert dead_letter["body"] if dead_letter.get("event") is None else json.loads(body) == dead_letter["event"]


@pytest.mark.parametrize("character", ["\\uffff", "\\ufffe", "\\ud83d", "\\u0000"])
async def test_a_dead_letter_can_be_written_whatever_characters_its_event_has(character: str) -> None:
    """SQS refuses some of them, and JSON can hold them all."""
    bench = Bench()
    extra_members = wire(type="toy.X.v1", id="e2").replace("X", character)
    for body in (
        extra_members,
        f"[{wire()},{extra_members},{wire(id='e3', data={'name': 5, 'more': 'X'}).replace('X', character)}]",
    ):
        await bench.world.bus.send(QUEUE, body, {"type": Greeted.TYPE, "channel": "whatsapp"})
    await bench.world.settle()
    assert bench.world.bus.peek(QUEUE) == bench.world.bus.peek(DLQ) == []
    assert {dead_letter["cause"] for dead_letter in await bench.letters()} <= {"version", "malformed"}
    # Half a pair of surrogates is no JSON, so that nothing of its batch can be read.
    assert bench.shop.applied == ({} if character == "\\ud83d" else {"ann": 1})


async def test_a_failure_that_cannot_be_planned_is_itself_the_reason() -> None:
    bench = Bench()
    await bench.dies("ann", error=RetryLater(datetime(2026, 1, 1), "no time zone"))  # noqa: DTZ001
    dead_letter = await bench.only()
    assert (dead_letter["cause"], dead_letter["exception"]) == ("exhausted", "TypeError")
    await bench.dies("bob", error=RetryLater(bench.world.clock.now() + timedelta(seconds=1), "busy"))
    assert len(await bench.letters()) == 1


@pytest.mark.parametrize(
    "changes",
    [{"id": None}, {"id": {"a": 1}}, {"id": ""}, {"id": LONG}, {"source": 1}, {"time": "2026-01-15T12:00:00"}, {"actor": []},
     {"correlationid": {"a": 1}}, {"traceparent": 7}],
)  # fmt: skip
async def test_an_envelope_with_a_member_of_another_type_is_malformed_at_its_first_try(changes: dict[str, Any]) -> None:
    bench = Bench()
    await bench.world.bus.send(QUEUE, wire(**changes), {"type": Greeted.TYPE, "channel": "whatsapp"})
    await bench.world.settle()
    dead_letter = await bench.only()
    assert dead_letter["cause"] == "malformed"
    assert dead_letter["text"].startswith(f"{Greeted.TYPE}: ")
    assert bench.shop.runs == {}
