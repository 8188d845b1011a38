"""What senders and providers say becomes one status that never goes back, and whoever was uncertain is told."""

import pytest

from libs.common.testing.world import World
from libs.messaging.content import Reaction, Text
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageChanged, MessageConfirmed
from libs.messaging.vocabulary import Status
from services.messages.model import Conversation, Orphan
from tests.services.messages.scenario import (
    ALEX,
    AWS_ID,
    WAMID,
    a_world,
    delivery,
    later,
    permission,
    queued,
    receipt,
    row,
    status_of,
    statuses_said,
    wrote_in,
)


async def test_a_message_goes_its_usual_way() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        await world.hear(delivery(message_id, Status.SENT, later(world, 1), provider_id=AWS_ID, sender="number-1"))
        await world.hear(receipt(Status.SENT, later(world, 2), also_known_as=(AWS_ID,)))
        await world.hear(receipt(Status.DELIVERED, later(world, 3)))
        await world.hear(receipt(Status.READ, later(world, 9)))
        assert statuses_said(world) == ["queued", "sent", "delivered", "read"]
        assert world.said(MessageConfirmed) == []
        message = await row(world, message_id)
        assert (message.status, message.sender, message.provider_ids()) == ("read", "number-1", [AWS_ID, WAMID])
        assert message.open is None


async def test_a_receipt_that_echoes_our_id_needs_no_other() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        await world.hear(receipt(Status.DELIVERED, later(world, 1), message_id=message_id))
        assert await status_of(world, message_id) == Status.DELIVERED


async def test_a_receipt_that_comes_before_the_send_is_recorded_waits_for_it() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        await world.hear(receipt(Status.DELIVERED, later(world, 1), also_known_as=(AWS_ID,)))
        assert await status_of(world, message_id) == Status.QUEUED
        await world.hear(delivery(message_id, Status.SENT, later(world, 1), provider_id=AWS_ID))
        await world.advance(10, step=1)
        assert await status_of(world, message_id) == Status.DELIVERED
        assert world.letters() == []


def lost_reports(world: World) -> list[Orphan]:
    rows = world.store.rows(world.runtime.context(world.service("messages")).table(Orphan))
    return [orphan for orphan in map(Orphan.from_row, rows) if orphan.lost]


async def test_a_receipt_whose_message_never_comes_is_counted_as_an_orphan() -> None:
    async with a_world() as world:
        await world.hear(receipt(Status.SENT, world.clock.now()))
        await world.advance(14 * 60, step=10)
        assert lost_reports(world) == []
        await world.advance(4 * 60, step=10)
        assert [(orphan.about, orphan.status) for orphan in lost_reports(world)] == [(WAMID, "sent")]
        assert world.letters() == []


async def test_an_old_receipt_that_was_held_up_still_waits_its_time_here() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        await world.hear(receipt(Status.DELIVERED, later(world, -7200), also_known_as=(AWS_ID,)))
        await world.advance(300, step=10)
        await world.hear(delivery(message_id, Status.SENT, later(world, 1), provider_id=AWS_ID))
        await world.advance(300, step=10)
        assert await status_of(world, message_id) == Status.DELIVERED


@pytest.mark.parametrize("uncertain", [Status.UNCERTAIN, Status.UNKNOWN, Status.CLAIMED, Status.DEFERRED])
async def test_a_sender_that_is_unsure_is_told_when_the_receipt_comes(uncertain: Status) -> None:
    async with a_world() as world:
        message_id = await queued(world)
        await world.hear(delivery(message_id, uncertain, later(world, 1)))
        await world.hear(receipt(Status.SENT, later(world, 2), message_id=message_id))
        (event,) = world.said(MessageConfirmed)
        assert (event.message_id, event.status, event.provider_id) == (message_id, "sent", WAMID)
        assert await status_of(world, message_id) == Status.SENT


@pytest.mark.parametrize("uncertain", [Status.UNCERTAIN, Status.UNKNOWN, Status.CLAIMED, Status.DEFERRED])
async def test_a_sender_that_says_so_after_the_receipt_is_told_at_once(uncertain: Status) -> None:
    async with a_world() as world:
        message_id = await queued(world)
        await world.hear(receipt(Status.DELIVERED, later(world, 2), message_id=message_id))
        before = len(world.said(MessageConfirmed))
        await world.hear(delivery(message_id, uncertain, later(world, 1)))
        reported = world.said(MessageConfirmed)[before:]
        assert [(event.status, event.provider_id) for event in reported] == [("delivered", WAMID)]
        assert await status_of(world, message_id) == Status.DELIVERED
        assert statuses_said(world) == ["queued", "delivered"]


async def test_a_failure_says_why_and_a_proof_of_delivery_takes_it_back() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        failed = receipt(
            Status.FAILED, later(world, 1), message_id=message_id, error_code=ErrorCode.UNDELIVERABLE,
            provider_code="131026", error_detail="Message undeliverable",
        )  # fmt: skip
        await world.hear(failed)
        message = await row(world, message_id)
        assert (message.status, message.error_code, message.provider_code) == ("failed", "undeliverable", "131026")
        steps = (await world.http("VIEWER").get(f"/api/messages/{message_id}/timeline")).json()["steps"]
        assert steps[-1]["says"] == "The provider accepted it but could not deliver it."
        assert steps[-1]["do"] == "Try another channel."
        await world.hear(receipt(Status.DELIVERED, later(world, 2), message_id=message_id))
        message = await row(world, message_id)
        assert (message.status, message.error_code, message.provider_code) == ("delivered", None, None)


async def test_a_word_that_we_do_not_know_moves_nothing() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        await world.hear(
            receipt(Status.UNKNOWN, later(world, 1), message_id=message_id, provider_status="played twice")
        )
        message = await row(world, message_id)
        assert message.status == Status.QUEUED
        assert message.steps["stepPlayedTwiceReported"].what == "note"
        assert statuses_said(world) == ["queued"]


async def test_a_step_that_was_written_but_not_said_is_said_when_it_is_brought_again() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        event = receipt(Status.DELIVERED, later(world, 1), message_id=message_id)
        await world.hear(event, key="r")
        await world.hear(receipt(Status.READ, later(world, 2), message_id=message_id))
        world.bus.heard.clear()
        await world.hear(event, key="r")
        assert [said.status for said in world.said(MessageChanged)] == ["delivered"]
        assert [said.status for said in world.said(MessageConfirmed)] == ["delivered"]
        world.bus.heard.clear()
        await world.hear(event, key="the same report as another event")
        assert world.said(MessageChanged) == []


async def test_the_row_of_a_job_comes_to_be_with_the_senders_first_word() -> None:
    async with a_world() as world:
        sent = delivery("bulk-1", Status.SENT, later(world, 1), provider_id=AWS_ID, job_id="job-1")
        await world.hear(receipt(Status.DELIVERED, later(world, 2), message_id="bulk-1"))
        await world.hear(sent)
        await world.advance(5, step=1)
        message = await row(world, "bulk-1")
        assert (message.status, message.job_id, message.contact_id) == ("delivered", "job-1", ALEX)
        assert [(event.status, event.job_id) for event in world.said(MessageChanged)] == [
            ("sent", "job-1"),
            ("delivered", "job-1"),
        ]


async def test_a_send_of_a_message_that_we_do_not_have_waits_for_it() -> None:
    async with a_world() as world:
        await world.hear(delivery("nowhere", Status.SENT, later(world, 1), provider_id=AWS_ID))
        await world.advance(20 * 60, step=30)
        assert [orphan.about for orphan in lost_reports(world)] == ["nowhere"]


async def test_an_inbound_message_is_stored_once_and_said_once() -> None:
    async with a_world() as world:
        await world.hear(wrote_in(world), key="a")
        await world.hear(wrote_in(world), key="b")
        assert statuses_said(world) == ["received"]
        message = await row(world, "inbound-1")
        assert (message.direction, message.content) == ("inbound", {"kind": "text", "body": "Hi", "previewUrl": False})
        found = await world.row("messages", Conversation, ALEX, "whatsapp")
        assert found is not None
        assert found.unanswered()


async def test_an_inbound_answer_and_a_reaction_know_which_message_of_ours_they_are_about() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        await world.hear(receipt(Status.SENT, later(world, 1), message_id=message_id))
        await world.hear(wrote_in(world, 1, in_reply_to=WAMID))
        await world.hear(wrote_in(world, 2, content=Reaction(message_id=WAMID, emoji="👍")))
        await world.hear(wrote_in(world, 3, in_reply_to="wamid.OFSOMEBODYELSE"))
        assert (await row(world, "inbound-1")).in_reply_to == message_id
        assert ((await row(world, "inbound-2")).content or {})["messageId"] == message_id
        assert (await row(world, "inbound-3")).in_reply_to == "wamid.OFSOMEBODYELSE"


async def test_a_receipt_cannot_touch_an_inbound_message_or_one_of_another_channel() -> None:
    async with a_world() as world:
        await world.hear(permission(world), wrote_in(world))
        await world.hear(receipt(Status.READ, later(world, 1), provider_id="wamid.SAMPLEINBOUND1"))
        assert await status_of(world, "inbound-1") == Status.RECEIVED


async def test_older_inbound_messages_do_not_move_a_conversation_back() -> None:
    async with a_world() as world:
        await world.hear(wrote_in(world, 2, received_at=later(world, 60)))
        await world.hear(wrote_in(world, 1, content=Text(body="earlier")))
        found = await world.row("messages", Conversation, ALEX, "whatsapp")
        assert found is not None
        assert found.last_message_id == "inbound-2"


async def test_what_no_sender_ever_settled_becomes_unknown_and_can_still_be_mended() -> None:
    async with a_world() as world:
        message_id = await queued(world, ttlSeconds=60)
        world.clock.advance(60 + 14 * 60)
        assert await world.tick("messages") == 0
        world.clock.advance(2 * 60)
        assert await world.tick("messages") == 1
        assert statuses_said(world) == ["queued", "unknown"]
        assert (await row(world, message_id)).error_code == ErrorCode.NOT_CONFIRMED
        await world.hear(delivery(message_id, Status.EXPIRED, world.clock.now()))
        assert await status_of(world, message_id) == Status.EXPIRED


async def test_what_a_sender_has_taken_is_left_to_the_sender() -> None:
    async with a_world() as world:
        message_id = await queued(world, ttlSeconds=60)
        await world.hear(delivery(message_id, Status.CLAIMED, world.clock.now()))
        world.clock.advance(3600)
        assert await world.tick("messages") == 0
