"""What the tests of ``messages`` tell: a contact who may be written to, and what senders and providers say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Text
from libs.messaging.events.contacts import ContactWroteIn, PermissionChanged
from libs.messaging.events.inbound import ReceiptReceived
from libs.messaging.events.messages import MessageChanged, MessageQueued
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.permission import Permission
from libs.messaging.vocabulary import MessageClass, Status
from services.messages.model import Message
from services.messages.service import service

ALEX = "contact-alex"
WAMID = "wamid.SAMPLEOUTBOUND0000000000000000000001"
AWS_ID = "3f8f0b7e-2d0b-4a35-9c7e-5a1c0b6f1d01"
TEMPLATE = {"kind": "template", "name": "order_shipped_v1", "variables": {"1": "42"}}
TEXT = {"kind": "text", "body": "It is on its way."}


def a_world() -> World:
    return World([service])


def permission(world: World, revision: int = 1, **facts: Any) -> PermissionChanged:
    """Alex on WhatsApp: opted in, and wrote just now."""
    given: dict[str, Any] = {
        "address": "+12025550143",
        "opted_in": True,
        "last_inbound_at": world.clock.now(),
        **facts,
    }
    channel = given.pop("channel", Channel.WHATSAPP)
    contact_id = given.pop("contact_id", ALEX)
    standing = Permission(contact_id=contact_id, channel=channel, revision=revision, **given)
    return PermissionChanged(contact_id=contact_id, channel=channel, standing=standing)


async def queued(world: World, key: str = "k1", **body: Any) -> str:
    """A message is accepted; returns its id."""
    await world.hear(permission(world), key="permission")
    answer = await world.http().post("/api/messages", json=asked(**body), headers={"Idempotency-Key": key})
    assert answer.status_code == 202, answer.text
    await world.settle()
    return str(answer.json()["messageId"])


def asked(**body: Any) -> dict[str, Any]:
    return {"contactId": ALEX, "channel": "whatsapp", "content": TEXT, **body}


def delivery(message_id: str, status: Status, at: datetime, **facts: Any) -> DeliveryChanged:
    given = {"contact_id": ALEX, "channel": Channel.WHATSAPP, "message_class": MessageClass.REPLY, "attempt": 1}
    return DeliveryChanged(message_id=message_id, status=status, at=at, **{**given, **facts})


def receipt(status: Status, at: datetime, **facts: Any) -> ReceiptReceived:
    given = {"channel": Channel.WHATSAPP, "provider_id": WAMID, "provider_status": str(status)}
    return ReceiptReceived(status=status, at=at, **{**given, **facts})


def wrote_in(world: World, n: int = 1, **facts: Any) -> ContactWroteIn:
    given: dict[str, Any] = {
        "contact_id": ALEX,
        "message_id": f"inbound-{n}",
        "channel": Channel.WHATSAPP,
        "provider_message_id": f"wamid.SAMPLEINBOUND{n}",
        "to": "+12025550100",
        "content": Text(body="Hi"),
        "received_at": world.clock.now(),
        **facts,
    }
    return ContactWroteIn(**given)


async def status_of(world: World, message_id: str) -> Status:
    return (await row(world, message_id)).status


async def row(world: World, message_id: str) -> Message:
    found = await world.row("messages", Message, message_id)
    assert found is not None
    return found


def statuses_said(world: World) -> Sequence[str]:
    return [event.status for event in world.said(MessageChanged)]


def queued_said(world: World) -> MessageQueued:
    (event,) = world.said(MessageQueued)
    return event


def later(world: World, seconds: float) -> datetime:
    return world.clock.now() + timedelta(seconds=seconds)
