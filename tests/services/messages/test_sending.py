"""Sending by the API: what is accepted is stored and said once, what is refused says why and what to do."""

from typing import Any

import pytest

from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.events.messages import CancelAsked, MessageDeleted, MessageQueued
from libs.messaging.vocabulary import Status
from services.messages.model import Conversation
from services.messages.service import service
from tests.services.messages.scenario import (
    ALEX,
    AWS_ID,
    TEMPLATE,
    TEXT,
    WAMID,
    a_world,
    asked,
    delivery,
    permission,
    queued,
    queued_said,
    receipt,
    row,
    status_of,
    statuses_said,
    wrote_in,
)


async def test_an_accepted_message_is_queued_and_handed_to_its_sender() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        event = queued_said(world)
        assert (event.message_id, event.message_class, event.resend) == (message_id, "reply", 0)
        assert (event.expires_at - event.queued_at).total_seconds() == 24 * 3600
        assert statuses_said(world) == ["queued"]
        message = await row(world, message_id)
        assert (message.status, message.rank, message.to) == ("queued", 0, "+12025550143")
        assert message.created_by == "user:test-operator"


async def test_the_same_key_is_the_same_message() -> None:
    async with a_world() as world:
        assert await queued(world, key="once") == await queued(world, key="once")
        (said,) = world.said(MessageQueued)
        assert said.revision == 1
        assert await queued(world, key="twice") != await queued(world, key="once")


@pytest.mark.parametrize(
    ("received_by", "body", "sender"),
    [
        ("number-2", {}, "number-2"),
        ("number-2", {"sender": "number-1"}, "number-1"),
        ("number-2", {"content": TEMPLATE}, None),
        ("number-of-others", {}, None),
        (None, {}, None),
    ],
)
async def test_an_answer_goes_out_from_the_number_they_wrote_to_last_if_it_may_send(
    received_by: str | None, body: dict[str, Any], sender: str | None
) -> None:
    async with World(
        [service], settings=Settings(stage="test", whatsapp_phone_number_ids="number-1,number-2")
    ) as world:
        await world.hear(wrote_in(world, 1, received_by="number-1"))
        world.clock.advance(60)
        await world.hear(wrote_in(world, 2, received_by=received_by))
        await queued(world, **body)
        assert queued_said(world).sender == sender


async def test_a_template_is_transactional_unless_said_otherwise() -> None:
    async with a_world() as world:
        await queued(world, content=TEMPLATE)
        assert queued_said(world).message_class == "transactional"


async def test_a_time_to_live_can_be_shortened_but_not_lengthened() -> None:
    async with a_world() as world:
        message_id = await queued(world, ttlSeconds=60)
        longer = await queued(world, key="k2", ttlSeconds=200_000)
        now = world.clock.now()
        spans = [((await row(world, each)).send_by or now) - now for each in (message_id, longer)]
        assert [span.total_seconds() for span in spans] == [60, 24 * 3600]


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"last_inbound_at": None}, "TEMPLATE_REQUIRED"),
        ({"opted_in": False}, "NO_CONSENT"),
        ({"opted_in": False, "opted_out_at": "2026-01-01T00:00:00Z"}, "OPTED_OUT"),
        ({"suppressed": "hard bounce"}, "SUPPRESSED"),
        ({"address": None}, "INVALID_RECIPIENT"),
        ({"deleted": True}, "CONTACT_ERASED"),
    ],
)
async def test_a_refusal_says_why_and_what_to_do_and_leaves_nothing(facts: dict[str, Any], code: str) -> None:
    async with a_world() as world:
        await world.hear(permission(world, **facts))
        answer = await world.http().post("/api/messages", json=asked())
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert answer.json()["title"]
        assert answer.json()["do"]
        assert world.said(MessageQueued) == []
        assert (await world.http("VIEWER").get("/api/messages")).json() == {"items": []}


async def test_a_template_may_be_sent_when_the_window_is_closed() -> None:
    async with a_world() as world:
        await world.hear(permission(world, last_inbound_at=None))
        answer = await world.http().post("/api/messages", json=asked(content=TEMPLATE))
        assert answer.status_code == 202


async def test_an_older_permission_is_no_news() -> None:
    async with a_world() as world:
        await world.hear(permission(world, revision=2, opted_in=False))
        await world.hear(permission(world, revision=1))
        answer = await world.http().post("/api/messages", json=asked())
        assert answer.json()["code"] == "NO_CONSENT"


async def test_an_unknown_contact_is_named() -> None:
    async with a_world() as world:
        answer = await world.http().post("/api/messages", json=asked())
        assert (answer.status_code, answer.json()["code"]) == (422, "CONTACT_NOT_FOUND")
        assert answer.json()["errors"][0]["field"] == "contactId"


@pytest.mark.parametrize(
    "body",
    [
        {"purpose": "compliance"},
        {"messageClass": "bulk"},
        {"content": {"kind": "raw", "type": "x", "raw": {}}},
        {"content": {"kind": "text", "body": ""}},
        {"ttlSeconds": 0},
        {"surprise": 1},
    ],
)
async def test_what_only_the_platform_may_say_cannot_be_asked_for(body: dict[str, Any]) -> None:
    async with a_world() as world:
        await world.hear(permission(world))
        answer = await world.http().post("/api/messages", json=asked(**body))
        assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_FAILED")


async def test_an_answer_quotes_by_the_providers_id() -> None:
    async with a_world() as world:
        await world.hear(wrote_in(world))
        await queued(world, inReplyTo="inbound-1")
        assert queued_said(world).in_reply_to == "wamid.SAMPLEINBOUND1"


async def test_a_reaction_carries_the_providers_id_of_what_it_reacts_to() -> None:
    async with a_world() as world:
        await world.hear(wrote_in(world))
        await queued(world, content={"kind": "reaction", "messageId": "inbound-1", "emoji": "👍"})
        assert queued_said(world).in_reply_to == "wamid.SAMPLEINBOUND1"


async def test_nobody_can_quote_another_conversation() -> None:
    async with a_world() as world:
        await world.hear(permission(world), wrote_in(world, contact_id="somebody-else"))
        answer = await world.http().post("/api/messages", json=asked(inReplyTo="inbound-1"))
        assert (answer.status_code, answer.json()["code"]) == (422, "MESSAGE_NOT_FOUND")


async def test_only_an_uncertain_message_can_be_resent_and_each_decision_is_counted() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        path = f"/api/messages/{message_id}/resend"
        assert (await world.http().post(path)).json()["code"] == "NOT_UNCERTAIN"
        await world.hear(delivery(message_id, Status.UNCERTAIN, world.clock.now()))
        for n in (1, 2):
            answer = await world.http().post(path, headers={"Idempotency-Key": f"again{n}"})
            assert (answer.status_code, answer.json()["resends"]) == (202, n)
        said = world.said(MessageQueued)
        assert [(event.message_id, event.resend) for event in said] == [(message_id, n) for n in (0, 1, 2)]
        steps = (await world.http("VIEWER").get(f"/api/messages/{message_id}/timeline")).json()["steps"]
        assert [step["what"] for step in steps] == ["queued", "uncertain", "resend", "resend"]
        assert steps[2]["actor"] == "user:test-operator"


async def test_somebody_who_opted_out_gets_no_resend() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        await world.hear(delivery(message_id, Status.UNKNOWN, world.clock.now()))
        await world.hear(permission(world, revision=2, opted_in=False, opted_out_at=world.clock.now()))
        answer = await world.http().post(f"/api/messages/{message_id}/resend")
        assert (answer.status_code, answer.json()["code"]) == (422, "OPTED_OUT")


async def test_a_cancel_is_asked_of_the_sender_and_stands_when_it_says_so() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        answer = await world.http().post(f"/api/messages/{message_id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        assert "cancelAskedAt" in answer.json()
        assert [event.message_id for event in world.said(CancelAsked)] == [message_id]
        await world.hear(delivery(message_id, Status.CANCELLED, world.clock.now()))
        assert await status_of(world, message_id) == Status.CANCELLED
        assert (await world.http().post(f"/api/messages/{message_id}/cancel")).json()["code"] == "TOO_LATE"


async def test_a_cancel_that_came_too_late_hides_no_send() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        await world.http().post(f"/api/messages/{message_id}/cancel")
        await world.hear(delivery(message_id, Status.SENT, world.clock.now(), provider_id=AWS_ID))
        assert await status_of(world, message_id) == Status.SENT


async def test_deleting_removes_what_was_said_and_keeps_what_became_of_it() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        admin = world.http("ADMIN")
        assert (await world.http().delete(f"/api/messages/{message_id}")).status_code == 403
        assert (await admin.delete(f"/api/messages/{message_id}")).json()["code"] == "NOT_SETTLED"
        await world.hear(delivery(message_id, Status.SENT, world.clock.now(), provider_id=AWS_ID))
        for _ in range(2):
            assert (await admin.delete(f"/api/messages/{message_id}")).status_code == 204
        assert [event.message_id for event in world.said(MessageDeleted)] == [message_id]
        shown = (await admin.get(f"/api/messages/{message_id}")).json()
        assert "content" not in shown
        assert "to" not in shown
        assert shown["deletedAt"]
        await world.hear(receipt(Status.DELIVERED, world.clock.now(), also_known_as=(AWS_ID,)))
        assert await status_of(world, message_id) == Status.DELIVERED
        assert WAMID in (await row(world, message_id)).provider_ids()


async def test_a_sent_message_moves_its_conversation() -> None:
    async with a_world() as world:
        await world.hear(wrote_in(world))
        world.clock.advance(5)
        message_id = await queued(world)
        found = await world.row("messages", Conversation, ALEX, "whatsapp")
        assert found is not None
        assert (found.last_message_id, found.last_direction, found.unanswered()) == (message_id, "outbound", False)
        assert TEXT["body"] not in str(found.to_row())
