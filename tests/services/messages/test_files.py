"""Files of messages: noted when they come in, looked at before they go out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import File, Media
from libs.messaging.events.contacts import ContactWroteIn, PermissionChanged
from libs.messaging.events.media import MediaDeleted, MediaStored
from libs.messaging.events.messages import MessageDeleted, MessageQueued
from libs.messaging.permission import Permission
from services.messages.service import service

MB = 1024 * 1024


def stored(on: World, file_id: str = "f1", **more: Any) -> MediaStored:
    facts: dict[str, Any] = {
        "file_id": file_id, "bucket": "wecare-test-media-files", "key": f"files/{file_id}", "content_type": "image/png",
        "size": 1000, "sha256": "0" * 64, "stored_at": on.clock.now(), "expires_at": on.clock.now() + timedelta(days=30),
    }  # fmt: skip
    return MediaStored(**{**facts, **more})


def wrote_in(on: World) -> ContactWroteIn:
    return ContactWroteIn(
        contact_id="c1", message_id="m1", channel=Channel.WHATSAPP, provider_message_id="wamid.1", to="+12025550100",
        content=Media(media_type="image", file=File(provider_id="8001")), received_at=on.clock.now(),
    )  # fmt: skip


async def refs(on: World) -> list[str]:
    found = await on.http("VIEWER").get("/api/messages/m1")
    assert found.status_code == 200, found.text
    shown: list[str] = found.json()["mediaRefs"]
    return shown


async def test_the_files_of_a_message_are_shown_in_their_order() -> None:
    async with World([service]) as on:
        await on.hear(wrote_in(on))
        assert await refs(on) == []
        await on.hear(stored(on, "f2", message_id="m1", part=1))
        await on.hear(stored(on, "f1", message_id="m1", part=0))
        assert await refs(on) == ["f1", "f2"]


async def test_a_file_that_comes_before_its_message_waits_for_it() -> None:
    async with World([service]) as on:
        await on.hear(stored(on, message_id="m1"))
        await on.advance(30, step=1)
        await on.hear(wrote_in(on))
        await on.advance(10, step=1)
        assert await refs(on) == ["f1"]
        assert not on.letters()


async def test_a_file_whose_message_never_comes_is_given_up() -> None:
    async with World([service]) as on:
        await on.hear(stored(on, message_id="m1"))
        await on.advance(16 * 60, step=2)
        assert not on.letters()
        await on.hear(wrote_in(on))
        await on.advance(60, step=2)
        assert await refs(on) == []


async def test_a_deleted_message_shows_no_files_and_gets_none_later() -> None:
    async with World([service]) as on:
        await on.hear(wrote_in(on), stored(on, message_id="m1"))
        assert (await on.http("ADMIN").delete("/api/messages/m1")).status_code == 204
        await on.settle()
        assert on.said(MessageDeleted)
        assert await refs(on) == []
        await on.hear(stored(on, "f2", message_id="m1", part=1))
        assert await refs(on) == []


async def ask(on: World, channel: Channel, content: dict[str, Any]) -> Any:
    standing = Permission(
        contact_id="c1", channel=channel, revision=1, address="+12025550143", opted_in=True,
        last_inbound_at=on.clock.now(),
    )  # fmt: skip
    await on.hear(PermissionChanged(contact_id="c1", channel=channel, standing=standing))
    return await on.http().post("/api/messages", json={"contactId": "c1", "channel": channel, "content": content})


def image(file_id: str, media_type: str = "image") -> dict[str, Any]:
    return {"kind": "media", "mediaType": media_type, "file": {"fileId": file_id}}


async def test_a_file_that_fits_is_accepted() -> None:
    async with World([service]) as on:
        await on.hear(stored(on))
        assert (await ask(on, Channel.WHATSAPP, image("f1"))).status_code == 202
        (queued,) = on.said(MessageQueued)
        assert isinstance(queued.content, Media)
        assert queued.content.file.file_id == "f1"


@pytest.mark.parametrize(
    ("channel", "facts", "media_type"),
    [
        (Channel.WHATSAPP, {"size": 5 * MB + 1}, "image"),
        (Channel.WHATSAPP, {"content_type": "image/gif"}, "image"),
        (Channel.WHATSAPP, {}, "sticker"),
        (Channel.SMS, {"size": 2 * MB + 1}, "image"),
    ],
)
async def test_a_file_that_the_channel_does_not_carry_is_refused_by_its_name(
    channel: Channel, facts: dict[str, Any], media_type: str
) -> None:
    async with World([service]) as on:
        await on.hear(stored(on, **facts))
        refused = await ask(on, channel, image("f1", media_type))
    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_CONTENT")
    assert refused.json()["errors"][0]["field"] == "content.file"
    assert channel.value in refused.json()["detail"]
    assert not on.said(MessageQueued)


async def test_a_file_that_is_not_there_is_refused() -> None:
    async with World([service]) as on:
        await on.hear(stored(on), MediaDeleted(file_id="f1"))
        for missing in ("f1", "f2"):
            refused = await ask(on, Channel.WHATSAPP, image(missing))
            assert (refused.status_code, refused.json()["code"]) == (422, "FILE_NOT_FOUND")
            assert refused.json()["errors"][0]["field"] == "content.file"
