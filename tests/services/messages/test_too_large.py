"""A message that no queue could carry is refused when it is sent in; one that was accepted all the same ends as failed."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from libs.common.declare.ledger import LedgerEntry
from libs.messaging.events.messages import CancelAsked, MessageQueued
from libs.messaging.vocabulary import Status
from tests.services.messages.scenario import a_world, asked, permission, queued, row, statuses_said

BIG = "y" * 150_000


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"kind": "email", "subject": "Hi", "text": "\u0001" * 119_000}, "content.text"),
        ({"kind": "email", "subject": "Hi", "text": "a", "headers": {"X-A": "é" * 150_000}}, "content.headers.X-A"),
        ({"kind": "template", "name": "t", "variables": {"1": BIG + BIG}}, "content.variables.1"),
        (
            {"kind": "template", "name": "t", "components": [{"type": "body", "text": BIG + BIG}]},
            "content.components.0.text",
        ),
        ({"kind": "contacts", "contacts": [{"name": BIG + BIG}]}, "content.contacts.0.name"),
        # 190 KB and no escapes fit an event; its ledger row, with the answer, does not fit a table.
        ({"kind": "contacts", "contacts": [{"name": "y" * 199_000}]}, "content.contacts.0.name"),
        (
            {"kind": "template", "name": "t", "components": [functools.reduce(lambda a, _: {"a": a}, range(30), {})]},
            "content.components.0.a",
        ),
    ],
)
async def test_a_message_too_large_for_its_event_is_refused_with_its_largest_field_named(
    content: dict[str, Any], field: str
) -> None:
    async with a_world() as world:
        channel = "email" if content["kind"] == "email" else "whatsapp"
        address = {"address": "ann@example.com", "channel": "email"} if channel == "email" else {}
        await world.hear(permission(world, **address), key="permission")
        answer = await world.http().post("/api/messages", json=asked(content=content, channel=channel))
        assert answer.status_code in (413, 422), answer.text
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert world.said(MessageQueued) == []


async def test_a_message_accepted_by_an_older_build_and_too_large_to_publish_ends_as_failed() -> None:
    async with a_world() as world:
        publish = world.bus.publish

        async def down(_: object) -> None:
            raise ConnectionError("down")

        await world.hear(permission(world), key="permission")
        world.bus.publish = down  # type: ignore[method-assign]
        answer = await world.http().post("/api/messages", json=asked(), headers={"Idempotency-Key": "k"})
        message_id = answer.json()["messageId"]
        world.bus.publish = publish  # type: ignore[method-assign]
        context = world.runtime.context(world.service("messages"))
        entry = await context.get(LedgerEntry, "http#user:test-operator#send_message#k")
        assert entry is not None
        entry.said[0]["data"]["content"]["body"] = "z" * 6000
        entry.said[0]["data"]["details"] = {}
        entry.said[0]["data"]["inReplyTo"] = BIG + BIG
        await context.write(context.put(entry))
        world.clock.advance(60)
        await world.tick("messages")
        assert (await row(world, message_id)).status is Status.FAILED
        assert (await row(world, message_id)).error_code == "invalid_content"
        assert statuses_said(world) == ["queued", "failed"]
        # Its dead letter may be edited and replayed: the message must stay what it is shown as.
        assert [said.message_id for said in world.said(CancelAsked)] == [message_id]
        (letter,) = world.letters()
        assert letter["cause"] == "unpublishable"


async def test_the_largest_mail_that_is_taken_reaches_its_sender() -> None:
    async with a_world() as world:
        await queued(world)
        await world.hear(permission(world, 2, address="ann@example.com", channel="email"), key="by mail")
        content = {"kind": "email", "subject": "Hi", "text": "é" * 59_000}
        answer = await world.http().post("/api/messages", json=asked(channel="email", content=content))
        assert answer.status_code == 202, answer.text
