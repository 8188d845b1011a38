"""Invented messages, what their events come to by a count of its own, and hands that let them arrive in any order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common.declare.event import Envelope
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageChanged
from libs.messaging.vocabulary import Direction, MessageClass, Status

#: What a message may go through, as ``messages`` says it: only ever up. Seconds after it began, status, who told.
WAYS: list[list[tuple[float, str, str]]] = [
    [(0, "queued", "request"), (0.4, "sent", "sender"), (3, "delivered", "provider"), (90, "read", "provider")],
    [(0, "queued", "request"), (1, "claimed", "sender"), (1.5, "sent", "sender"), (400, "delivered", "provider")],
    [(0, "queued", "request"), (2, "delivered", "provider")],
    [(0, "sent", "sender"), (5000, "read", "provider")],
    [(0, "queued", "request"), (0.1, "failed", "sender")],
    [(0, "sent", "sender"), (30, "failed", "provider")],
    [(0, "queued", "request"), (7, "failed", "provider")],
    [(0, "sent", "sender"), (20, "failed", "provider"), (50, "delivered", "provider")],
    [(0, "queued", "request"), (5, "uncertain", "sender")],
    [(0, "queued", "request"), (5, "uncertain", "sender"), (4000, "sent", "provider")],
    [(0, "uncertain", "sender"), (7200, "unknown", "auditor")],
    [(0, "suppressed", "sender")],
    [(0, "queued", "request"), (600, "expired", "sender")],
    [(0, "queued", "request"), (1, "cancelled", "request")],
]
CODES = [ErrorCode.INVALID_RECIPIENT, ErrorCode.UNDELIVERABLE, ErrorCode.BLOCKED]
NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
STATUSES = (
    "queued", "sent", "delivered", "read", "failed", "tried", "uncertain", "unsettled", "unknown", "suppressed", "expired",
    "cancelled", "received",
)  # fmt: skip


def changed(
    message_id: str,
    status: str,
    at: datetime = NOON,
    *,
    channel: Channel = Channel.SMS,
    source: str = "sender",
    code: ErrorCode | None = None,
    message_class: MessageClass | None = MessageClass.TRANSACTIONAL,
    job_id: str | None = None,
    job_ref: str | None = None,
) -> MessageChanged:
    inbound = status == "received"
    return MessageChanged(
        message_id=message_id,
        contact_id=f"c-{message_id}",
        channel=channel,
        message_class=None if inbound else message_class,
        direction=Direction.INBOUND if inbound else Direction.OUTBOUND,
        status=Status(status),
        at=at,
        error_code=code or (ErrorCode.UNDELIVERABLE if status == "failed" else None),
        source=source,
        job_id=job_id,
        job_ref=job_ref,
    )


def way(
    message_id: str, steps: Iterable[tuple[float, str, str]], began: datetime = NOON, **facts: Any
) -> list[MessageChanged]:
    return [
        changed(message_id, status, began + timedelta(seconds=after), source=source, **facts)
        for after, status, source in steps
    ]


def of_job(count: int, job: str = "job-1", chunk: int = 100, began: datetime = NOON) -> list[list[MessageChanged]]:
    """So many recipients of a job who are sent to and receive it: for each chunk, what is told first and what then."""
    sent, delivered = [], []
    for n in range(count):
        ref = f"p{n // chunk:06d}.{n % chunk}.r{n}.1"
        facts: dict[str, Any] = {"job_id": job, "job_ref": ref, "message_class": MessageClass.BULK}
        sent.append(changed(f"{job}-m{n}", "sent", began, **facts))
        at = began + timedelta(seconds=5)
        delivered.append(changed(f"{job}-m{n}", "delivered", at, source="provider", **facts))
    return [sent, delivered]


def crowd(seed: int, count: int = 150) -> list[MessageChanged]:
    """All that is notified of so many messages of every kind, over two hours and a midnight."""
    draw = random.Random(seed)
    reported: list[MessageChanged] = []
    for n in range(count):
        began = datetime(2026, 1, 14, 23, 0, tzinfo=UTC) + timedelta(seconds=draw.randrange(7200))
        channel = draw.choice(list(Channel))
        if n % 10 == 9:
            reported.append(changed(f"in{n}", "received", began, channel=channel, source="customer"))
            continue
        facts: dict[str, Any] = {"channel": channel, "code": None, "message_class": draw.choice(list(MessageClass))}
        if n % 3 == 0:
            ref = f"p{n % 7:06d}.{n}.r{n}.1"
            facts |= {"job_id": "job-x", "job_ref": ref, "message_class": MessageClass.BULK}
        steps = draw.choice(WAYS)
        reported += [
            event.model_copy(update={"error_code": draw.choice(CODES)}) if event.status is Status.FAILED else event
            for event in way(f"m{n}", steps, began, **facts)
        ]
    return reported


def shuffled(events: Sequence[MessageChanged], seed: int) -> list[MessageChanged]:
    jitter = list(events)
    random.Random(seed).shuffle(jitter)
    return jitter


class Insights:
    """The world of the service, and one who looks at the figures."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.viewer = world.http("VIEWER")

    async def hears(self, *events: MessageChanged) -> None:
        """Each under the id that ``messages`` would say it with, however often it is said."""
        reported = [self.envelope(event) for event in events]
        await self.world.bus.publish(reported)
        await self.world.settle()

    def envelope(self, event: MessageChanged) -> Envelope:
        return self.world.envelope(event, key=f"{event.message_id} {event.status}")

    async def get(self, path: str, expect: int = 200, **query: Any) -> Any:
        answer = await self.viewer.get(f"/api/insights{path}", params=query)
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def overview(self, channel: str = "sms") -> dict[str, Any]:
        reported = await self.get("/overview")
        return next(each for each in reported["channels"] if each["channel"] == channel)

    async def items(self, **query: Any) -> list[dict[str, Any]]:
        """All pages."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.get("/delivery", **query)
            found += page["items"]
            if page.get("cursor") is None:
                return found
            query["cursor"] = page["cursor"]

    async def figures(
        self, by: str = "hour", since: str = "2026-01-14T00:00:00Z", until: str = "2026-01-17T00:00:00Z"
    ) -> Counter[str]:
        """As ``"2026-01-15T00 sms otp sent"``, and so for errors."""
        found: Counter[str] = Counter()
        for item in await self.items(**{"from": since, "to": until, "by": by}):
            where = f"{item['start'][: 13 if by == 'hour' else 10]} {item['channel']} {item.get('messageClass', '-')}"
            found.update({f"{where} {name}": item[name] for name in STATUSES if item[name]})
            found.update({f"{where} {error['code']}": error["count"] for error in item["errors"]})
        return found


def expected(events: Iterable[MessageChanged], by: str = "hour") -> Counter[str]:
    """The same by looking at each message alone, in the order of its statuses, as somebody would count by hand."""
    messages: dict[str, dict[str, MessageChanged]] = {}
    for event in events:
        if event.status is not Status.CLAIMED:
            messages.setdefault(event.message_id, {})[event.status.value] = event
    found: Counter[str] = Counter()
    for reported in messages.values():
        some = next(iter(reported.values()))
        for name, at in _by_hand(reported):
            period = at.strftime("%Y-%m-%dT%H" if by == "hour" else "%Y-%m-%d")
            found[f"{period} {some.channel} {some.message_class or '-'} {name}"] += 1
    return found


def _by_hand(reported: dict[str, MessageChanged]) -> Iterable[tuple[str, datetime]]:
    """What one message counts for, and when."""
    if "received" in reported:
        yield "received", reported["received"].at
        return
    yield "queued", reported["queued"].at if "queued" in reported else min(event.at for event in reported.values())
    yield from _sending(reported)
    for name in ("read", "uncertain", "unknown", "suppressed", "expired", "cancelled"):
        if name in reported:
            yield name, reported[name].at
    if "uncertain" in reported and reported.keys() <= {"queued", "uncertain"}:
        yield "unsettled", reported["uncertain"].at


def _sending(reported: dict[str, MessageChanged]) -> Iterable[tuple[str, datetime]]:
    proofs = [event.at for event in reported.values() if event.source == "provider" or event.status is Status.SENT]
    proven = "delivered" in reported or "read" in reported
    if proofs:
        sent = reported["sent"].at if "sent" in reported else min(proofs)
        yield from (("sent", sent), ("tried", sent))
    if proven:
        yield "delivered", reported["delivered" if "delivered" in reported else "read"].at
    elif "failed" in reported:
        yield from ((word, reported["failed"].at) for word in ("failed", str(reported["failed"].error_code)))
        if not proofs:
            yield "tried", reported["failed"].at
