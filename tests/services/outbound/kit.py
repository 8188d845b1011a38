"""What the tests of the senders share: a message, a permission, a provider that keeps its own ledger."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from libs.common.declare.service import Service
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Text
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.messages import MessageQueued
from libs.messaging.permission import Permission
from libs.messaging.vocabulary import MessageClass
from services.outbound.contract import Accepted, Account, NotSent, Outcome, Outgoing, Rejected, Request, Unknown
from services.outbound.ledger.model import Delivery
from services.outbound.limits.portfolios import Portfolios
from services.outbound.limits.rates import Limits
from services.outbound.sending.channel_service import channel_service

SENDER = "phone-number-id-1a2b3c4d5e6f708192a3b4c5d6e7f809"
CONTACT = "contact-1"
PHONE = "+12025550143"
NAME = "outbound-whatsapp"
LIMITS = Limits(per_second=1000)

#: What the provider does with a request: answers, and whether it took it.
Behaviour = Callable[["Fake", Request], Awaitable[Outcome]]


class Fake:
    """A channel whose provider is this object. ``accepted`` counts acceptances by our message id: the oracle."""

    name = Channel.WHATSAPP
    provider = "socialmessaging"

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.accepted: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.behaviour = behaviour or accepts

    def render(self, message: Outgoing, account: Account) -> Request:
        return {"id": message.message_id, "to": message.to, "sender": account.sender}

    async def probe(self, client: Any) -> None:
        """The provider answers whoever only asks."""

    async def send(self, request: Request, client: Any) -> Outcome:
        self.asked[request["id"]] += 1
        return await self.behaviour(self, request)

    def units(self, request: Request) -> int:
        return 1

    def accept(self, request: Request) -> Accepted:
        self.accepted[request["id"]] += 1
        return Accepted(f"provider-{request['id']}-{self.accepted[request['id']]}")


async def accepts(fake: Fake, request: Request) -> Outcome:
    await asyncio.sleep(0)
    return fake.accept(request)


async def loses_answer(fake: Fake, request: Request) -> Outcome:
    """Takes it, and the answer is lost."""
    fake.accept(request)
    return Unknown("read timeout")


async def refuses(fake: Fake, request: Request) -> Outcome:
    from libs.messaging.errors import ErrorCode

    return Rejected(ErrorCode.UNDELIVERABLE, "131026", "not on WhatsApp")


async def unreachable(fake: Fake, request: Request) -> Outcome:
    return NotSent("connection refused")


def first(behaviour: Behaviour, then: Behaviour = accepts, times: int = 1) -> Behaviour:
    """``behaviour`` for the first requests, ``then`` after that."""

    async def both(fake: Fake, request: Request) -> Outcome:
        return await (behaviour if fake.asked[request["id"]] <= times else then)(fake, request)

    return both


class NoAws:
    """The entry point to AWS where nothing is behind it."""

    async def client(self, service: str, attempts: int = 4) -> object:
        return object()

    async def __aexit__(self, *error: object) -> None:
        pass


def fake_sender(fake: Fake, limits: Limits = LIMITS, portfolios: Portfolios | None = None) -> Service:
    return channel_service(fake, limits, needs=[], senders=lambda settings: [SENDER], portfolios=portfolios)


def world(fake: Fake, *, limits: Limits = LIMITS, times: int = 2, **more: Any) -> World:
    return World([fake_sender(fake, limits)], aws=NoAws(), times=times, **more)  # type: ignore[arg-type]


def standing(now: datetime, revision: int = 1, **facts: Any) -> Permission:
    known: dict[str, Any] = {
        "contact_id": CONTACT, "channel": Channel.WHATSAPP, "revision": revision, "address": PHONE, "opted_in": True,
        "last_inbound_at": now - timedelta(hours=1),
    }  # fmt: skip
    return Permission(**{**known, **facts})


def permission(now: datetime, revision: int = 1, acknowledge: bool = False, **facts: Any) -> PermissionChanged:
    said = standing(now, revision, **facts)
    return PermissionChanged(contact_id=said.contact_id, channel=said.channel, standing=said, acknowledge=acknowledge)


def message(
    now: datetime, message_id: str = "m1", message_class: MessageClass = MessageClass.TRANSACTIONAL, **more: Any
) -> MessageQueued:
    facts: dict[str, Any] = {
        "message_id": message_id, "contact_id": CONTACT, "channel": Channel.WHATSAPP, "message_class": message_class,
        "content": Text(body="Hello"), "queued_at": now,
        "expires_at": now + Channel.WHATSAPP.traits.policies[message_class].time_to_live,
    }  # fmt: skip
    return MessageQueued(**{**facts, **more})


async def row(world: World, message_id: str = "m1") -> Delivery:
    found = await world.row(NAME, Delivery, message_id)
    assert found is not None
    return found
