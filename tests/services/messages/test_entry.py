"""What would fail later is refused when it is sent in, with the field named."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.events.messages import MessageQueued
from services.messages.service import service
from tests.services.messages.scenario import a_world, asked, permission

MAIL = {"kind": "email", "subject": "Hi", "text": "Hello"}
IMAGE = {"kind": "media", "mediaType": "image"}


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({**MAIL, "subject": "Hi\r\nBcc: all@example.com"}, "content.subject"),
        ({**MAIL, "subject": "Hi\u2028there"}, "content.subject"),
        ({**MAIL, "headers": {"X-A": "a\r\nX-B: b"}}, "content.headers.X-A"),
        ({**MAIL, "attachments": [{"url": "s3://somebody/elses.pdf"}]}, "content.attachments.0"),
        ({**IMAGE, "file": {"url": "s3://somebody/elses.png"}}, "content.file"),
        ({"kind": "rich", "fileUrl": "s3://somebody/elses.png"}, "content.fileUrl"),
    ],
)
async def test_a_header_of_two_lines_and_a_bucket_of_somebodys_are_refused(content: dict[str, Any], field: str) -> None:
    channel = {"email": "email", "rich": "rcs"}.get(content["kind"], "whatsapp")
    async with a_world() as world:
        address = {"address": "ann@example.com"} if channel == "email" else {}
        await world.hear(permission(world, channel=channel, **address), key="permission")
        answer = await world.http().post("/api/messages", json=asked(content=content, channel=channel))
        assert answer.status_code == 422, answer.text
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert world.said(MessageQueued) == []


async def test_a_sender_that_may_not_send_is_refused_and_those_that_may_are_named() -> None:
    async with World([service], settings=Settings(stage="test", whatsapp_phone_number_ids="number-1")) as world:
        await world.hear(permission(world), key="permission")
        answer = await world.http().post("/api/messages", json=asked(sender="number-2"))
        assert (answer.status_code, answer.json()["code"]) == (422, "SENDER_NOT_ALLOWED")
        assert answer.json()["errors"] == [{"field": "sender", "detail": "One of: number-1."}]
        assert (await world.http().post("/api/messages", json=asked(sender="number-1"))).status_code == 202
