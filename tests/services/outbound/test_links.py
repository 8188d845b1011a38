"""A link that can be no address ends its message, whatever is wrong with it: it is never left queued."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.testing.world import World
from libs.messaging.channels import Channel
from services.messages.service import service as messages
from tests.services.messages.scenario import asked, permission
from tests.services.outbound.kit import NoAws
from tests.services.outbound.test_files import Shows, service

#: No name server is ever asked for one of these.
LINKS = {
    "a label of 64 characters": f"https://{'a' * 64}.example.com/photo.png",
    "a label that is too long once encoded": f"https://{'ü' * 60}.example.com/photo.png",
    "an empty label": "https://cdn..example.com/photo.png",
    "an empty first label": "https://.example.com/photo.png",
    "labels of full-width stops": "https://．．/photo.png",
    "a name of nothing but a joiner": "https://\u200d.com/photo.png",
    "an encoded label that is none": "https://xn--é/photo.png",
    "a bracket that is never closed": "https://[::1/photo.png",
    "nothing in the brackets": "https://[]/photo.png",
    "a port beyond all ports": "https://cdn.example.com:99999/photo.png",
    "a port that is no number": "https://cdn.example.com:x/photo.png",
    "an address of too large numbers": "https://256.256.256.256/photo.png",
    "no host": "https:///photo.png",
}


def content_of(channel: Channel, link: str) -> dict[str, Any]:
    if channel is Channel.EMAIL:
        return {"kind": "email", "subject": "Hi", "text": "See below", "attachments": [{"url": link}]}
    if channel is Channel.RCS:
        return {"kind": "rich", "text": "Hi", "fallbackText": "Hi", "fallbackMediaUrl": link}
    return {"kind": "media", "mediaType": "image", "file": {"url": link}}


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.EMAIL, Channel.RCS])
@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
async def test_a_message_whose_link_is_no_address_fails_and_says_so(channel: Channel, link: str) -> None:
    shows = Shows(channel)
    async with World([messages, service(shows)], aws=NoAws()) as world:  # type: ignore[arg-type]
        address = {"address": "ann@example.com"} if channel is Channel.EMAIL else {}
        await world.hear(permission(world, channel=channel, **address), key="permission")
        body = asked(channel=channel.value, content=content_of(channel, link))
        answer = await world.http().post("/api/messages", json=body)
        assert answer.status_code == 202, answer.text
        await world.settle()
        found = (await world.http().get(f"/api/messages/{answer.json()['messageId']}")).json()
        assert (found["status"], found["errorCode"]) == ("failed", "media_failed")
        assert not world.letters()
        assert not shows.asked


async def test_no_link_that_is_no_address_is_taken_for_a_fault_of_the_sender() -> None:
    """A queue's consumer that fails at each of them would brake, and keep the messages behind them waiting."""
    shows = Shows(Channel.SMS)
    async with World([messages, service(shows)], aws=NoAws()) as world:  # type: ignore[arg-type]
        await world.hear(permission(world, channel=Channel.SMS), key="permission")
        api = world.http()
        content = content_of(Channel.SMS, "http://[::1")
        assert (await api.post("/api/messages", json=asked(channel="sms", content=content))).status_code == 422
        for link in LINKS.values():
            content = content_of(Channel.SMS, link)
            assert (await api.post("/api/messages", json=asked(channel="sms", content=content))).status_code == 202
        good = await api.post("/api/messages", json=asked(channel="sms", content={"kind": "text", "body": "Hello"}))
        await world.settle()
        assert list(shows.accepted) == [good.json()["messageId"]]
        assert not world.letters()
