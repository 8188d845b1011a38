"""Reading: lists newest first with cursors that neither skip nor repeat, the story of a message, conversations."""

import pytest

from libs.messaging.channels import Channel
from libs.messaging.vocabulary import Status
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
    wrote_in,
)

ROUTES = [
    "/api/messages",
    "/api/messages/none",
    "/api/messages/none/timeline",
    "/api/conversations",
    "/api/conversations/none/whatsapp",
]


async def test_pages_neither_skip_nor_repeat_even_within_one_millisecond() -> None:
    async with a_world() as world:
        for n in range(23):
            channel = Channel.SMS if n % 3 else Channel.WHATSAPP
            await world.publish(wrote_in(world, n, channel=channel, received_at=later(world, n // 5)))
        await world.settle()
        for query in ("", "&contactId=contact-alex", "&status=received"):
            seen: list[str] = []
            times: list[str] = []
            cursor = ""
            while True:
                page = (await world.http("VIEWER").get(f"/api/messages?limit=4{query}{cursor}")).json()
                seen += [item["messageId"] for item in page["items"]]
                times += [item["createdAt"] for item in page["items"]]
                if "cursor" not in page:
                    break
                cursor = f"&cursor={page['cursor']}"
            assert sorted(seen) == sorted(f"inbound-{n}" for n in range(23))
            assert times == sorted(times, reverse=True)


async def test_lists_are_by_contact_by_channel_by_status_and_by_provider_id() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        await world.hear(delivery(message_id, Status.SENT, later(world, 1), provider_id=AWS_ID))
        await world.hear(receipt(Status.SENT, later(world, 1), also_known_as=(AWS_ID,)))
        await world.hear(wrote_in(world, 1, channel=Channel.SMS), wrote_in(world, 2, contact_id="sam"))

        async def found(query: str) -> set[str]:
            answer = await world.http("VIEWER").get(f"/api/messages?{query}")
            return {item["messageId"] for item in answer.json()["items"]}

        assert await found("contactId=sam") == {"inbound-2"}
        assert await found("channel=sms") == {"inbound-1"}
        assert await found(f"contactId={ALEX}&channel=whatsapp") == {message_id}
        assert await found("status=sent") == {message_id}
        assert await found(f"providerId={AWS_ID}") == await found(f"providerId={WAMID}") == {message_id}
        assert await found("providerId=nobody") == set()


@pytest.mark.parametrize("cursor", ["x", "bm90IGpzb24=", "WzEsMl0=", "bnVsbA=="])
async def test_a_cursor_that_nobody_made_is_refused(cursor: str) -> None:
    async with a_world() as world:
        answer = await world.http("VIEWER").get("/api/messages", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (422, "BAD_CURSOR")


async def test_a_timeline_tells_what_happened_in_plain_words() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        await world.hear(delivery(message_id, Status.SENT, later(world, 1), provider_id=AWS_ID, notes=("window open",)))
        await world.hear(receipt(Status.READ, later(world, 3), message_id=message_id))
        await world.hear(receipt(Status.SENT, later(world, 2), message_id=message_id))
        story = (await world.http("VIEWER").get(f"/api/messages/{message_id}/timeline")).json()
        assert story["status"] == "read"
        assert [step["says"] for step in story["steps"]] == [
            "It was accepted and waits to be sent.",
            "The provider accepted it.",
            "The provider sent it on to the recipient.",
            "The recipient opened it.",
        ]
        assert story["steps"][1]["notes"] == ["window open"]
        shown = (await world.http("VIEWER").get(f"/api/messages/{message_id}")).json()
        assert (shown["status"], shown["sentAt"], shown["readAt"]) == (
            "read",
            "2026-01-15T12:00:01.000Z",
            "2026-01-15T12:00:03.000Z",
        )


async def test_conversations_show_who_waits_for_an_answer_and_until_when_free_text_goes() -> None:
    async with a_world() as world:
        await world.hear(permission(world, name="Alex Sample"), wrote_in(world))
        await world.hear(wrote_in(world, 2, contact_id="sam", channel=Channel.SMS, received_at=later(world, 5)))
        page = (await world.http("VIEWER").get("/api/conversations")).json()
        assert [item["contactId"] for item in page["items"]] == ["sam", ALEX]
        path = f"/api/conversations/{ALEX}/whatsapp"
        shown = (await world.http("VIEWER").get(path)).json()
        assert (shown["name"], shown["unanswered"]) == ("Alex Sample", True)
        assert shown["windowOpenUntil"] == "2026-01-16T12:00:00.000Z"
        world.clock.advance(24 * 3600)
        assert "windowOpenUntil" not in (await world.http("VIEWER").get(path)).json()


async def test_what_is_not_there_is_not_found() -> None:
    async with a_world() as world:
        for path in ROUTES[1:3]:
            answer = await world.http("VIEWER").get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "MESSAGE_NOT_FOUND")
        assert (await world.http("VIEWER").get(ROUTES[4])).json()["code"] == "CONVERSATION_NOT_FOUND"


async def test_a_message_is_gone_after_thirty_days() -> None:
    async with a_world() as world:
        message_id = await queued(world)
        world.clock.advance(30 * 24 * 3600 + 1)
        assert (await world.http("VIEWER").get(f"/api/messages/{message_id}")).status_code == 404
        assert (await world.http("VIEWER").get("/api/messages")).json() == {"items": []}


async def test_nobody_reads_without_signing_in_and_viewers_do_not_write() -> None:
    async with a_world() as world:
        for path in ROUTES:
            assert (await world.http(None).get(path)).status_code == 401
        for path in ("/api/messages", "/api/messages/none/resend", "/api/messages/none/cancel"):
            assert (await world.http("VIEWER").post(path, json={})).status_code == 403
