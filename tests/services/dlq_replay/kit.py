"""A shop whose handler can be broken and fixed, and the workbench that keeps what it lets die."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx

from libs.common.bus.base import DeadLetter, Record
from libs.common.bus.dead_letters import to_body
from libs.common.declare.event import Event
from libs.common.declare.service import Feed, Service, on
from libs.common.errors import Malformed, Poison
from libs.common.handle.context import Context
from libs.common.settings import Settings
from libs.common.store.item import Item, Table
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Text
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.messages import MessageQueued
from libs.messaging.permission import Permission
from libs.messaging.vocabulary import MessageClass
from services.dlq_replay.service import service as workbench
from tests.kit.toy import Greeted

QUEUE = "wecare-test-shop"
DLQ = f"{QUEUE}-dlq"
SENDER = "wecare-test-outbound-whatsapp-tx"


class Sale(Item):
    """That it was applied, and how often anew: the oracle of double effects."""

    TABLE = Table("sale", key="name")

    name: str
    event_id: str


class Shop:
    """``broken`` is what its handler raises while it is not None; ``runs`` counts its calls by name."""

    def __init__(self) -> None:
        self.broken: Exception | None = None
        self.runs: Counter[str] = Counter()
        self.applied: Counter[str] = Counter()
        self.service = Service(
            "shop",
            owns=[Sale],
            hears=[on(Greeted, self.hear)],
            says=[Greeted],
            feeds=[Feed("shop", self.parse)],
        )

    async def hear(self, event: Greeted, ctx: Context) -> None:
        self.runs[event.name] += 1
        if event.trouble == "poison":
            raise Poison("this one can never be applied")
        if self.broken is not None:
            raise self.broken
        if await ctx.write(ctx.insert(Sale(name=event.name, event_id=ctx.cause.id if ctx.cause else ""))):
            self.applied[event.name] += 1

    def parse(self, body: str) -> list[tuple[str, Event]]:
        if not body.startswith("hi "):
            raise Malformed("a greeting starts with hi")
        return [(body, Greeted(name=body[3:]))]


class Bench:
    """The world of both, and the API in the words of a test."""

    def __init__(self, *more: Service, settings: Settings | None = None) -> None:
        self.shop = Shop()
        chosen = settings or Settings(stage="test", send_mode="LIVE", max_attempts=1, build="b1")
        self.world = World([self.shop.service, workbench, *more], settings=chosen)
        self.operator = self.world.http("OPERATOR")
        self.admin = self.world.http("ADMIN")
        self.viewer = self.world.http("VIEWER")

    async def dies(self, *names: str, error: Exception | None = None, **facts: Any) -> None:
        """These greetings die in the shop, which is well again afterwards."""
        self.shop.broken = error or Poison("the shop is closed")
        await self.world.hear(*(Greeted(name=name, **facts) for name in names))
        self.shop.broken = None

    async def letters(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get("/api/dlq", **query))["items"]
        return found

    async def only(self, **query: Any) -> dict[str, Any]:
        (dead_letter,) = await self.letters(**query)
        return dead_letter

    async def show(self, dead_letter: dict[str, Any]) -> dict[str, Any]:
        return await self.get(f"/api/dlq/{dead_letter['dlqMessageId']}")

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = await self.viewer.get(path, params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def ask(self, client: httpx.AsyncClient | None = None, status: int = 202, **body: Any) -> dict[str, Any]:
        """Ask for a replay."""
        answer = await (client or self.operator).post("/api/dlq/replay", json=body)
        assert answer.status_code == status, answer.text
        reported: dict[str, Any] = answer.json()
        return reported

    async def work(self) -> None:
        """Let the replayer have its turns until no job is open, and let everything follow."""
        for _ in range(200):
            await self.world.tick("dlq-replay")
            jobs = (await self.get("/api/dlq/jobs"))["items"]
            if all(job["state"] in ("done", "cancelled", "paused") for job in jobs):
                return
            self.world.clock.advance(11)  # longer than a lease
        raise AssertionError(f"never done: {jobs}")

    async def replayed(self, **body: Any) -> dict[str, Any]:
        """A replay, seen through; the job as it ended."""
        job = await self.ask(**body)
        await self.work()
        return await self.get(f"/api/dlq/jobs/{job['jobId']}")


async def _nothing(event: MessageQueued, ctx: Context) -> None:
    return None


class Dead:
    """Messages that died on a sender's queue; this sender only has one."""

    def __init__(self, *more: Service) -> None:
        self.bench = Bench(Service("outbound-whatsapp", hears=[on(MessageQueued, _nothing, lane="tx")]), *more)

    def queued(self, **facts: Any) -> MessageQueued:
        now = self.bench.world.clock.now()
        given: dict[str, Any] = {
            "message_id": "m1", "contact_id": "c1", "channel": Channel.WHATSAPP, "content": Text(body="hi"),
            "message_class": MessageClass.REPLY, "queued_at": now, "expires_at": now + timedelta(hours=24),
        }  # fmt: skip
        return MessageQueued(**{**given, **facts})

    async def dies(self, event: Event, **dead_letter: Any) -> str:
        """Lay a dead letter of that event on the dead-letter queue; with the cause ``unhandled`` as SQS does it."""
        world = self.bench.world
        envelope = world.envelope(event)
        wire = {**envelope.to_wire(), **dead_letter.pop("wire", {})}
        record = Record(SENDER, "sqs-1", json.dumps(wire), envelope.attributes())
        reported = DeadLetter(
            **{"cause": "exhausted", "exception": "RuntimeError", "text": "", "service": "outbound-whatsapp", **dead_letter},
            queue=SENDER, handler="queued", build="b0", record=record, event_id=envelope.id, event_type=wire["type"],
            died_at=world.clock.now(),
        )  # fmt: skip
        body = record.body if reported.cause == "unhandled" else to_body(reported)
        await world.bus.send(f"{SENDER}-dlq", body, record.attributes)
        await world.settle()
        letter_row = await self.bench.only(text=envelope.id, queue=SENDER)
        return str(letter_row["dlqMessageId"])

    async def knows(self, revision: int = 1, contact_id: str = "c1", **facts: Any) -> None:
        now = self.bench.world.clock.now()
        given = {"address": "+12025550143", "opted_in": True, "last_inbound_at": now, **facts}
        standing = Permission(contact_id=contact_id, channel=Channel.WHATSAPP, revision=revision, **given)
        event = PermissionChanged(contact_id=contact_id, channel=Channel.WHATSAPP, standing=standing)
        await self.bench.world.hear(event)

    async def foresee(self, *dead_letters: str) -> dict[str, Any]:
        answer = await self.bench.viewer.post("/api/dlq/simulate", json={"ids": list(dead_letters)})
        assert answer.status_code == 200, answer.text
        reported: dict[str, Any] = answer.json()
        return reported


def ids(dead_letters: Sequence[dict[str, Any]]) -> list[str]:
    return [dead_letter["dlqMessageId"] for dead_letter in dead_letters]


__all__ = ["DLQ", "QUEUE", "Bench", "Dead", "Greeted", "Shop", "ids", "workbench"]
