"""What is too much is refused where it is asked for, by name."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.testing.world import World
from libs.messaging.content import MAX_EMAIL_BYTES
from services.messages.service import service


@pytest.mark.parametrize(
    ("content", "field", "says"),
    [
        ({"subject": "s", "text": "x" * MAX_EMAIL_BYTES, "html": "y"}, "content.email", str(MAX_EMAIL_BYTES)),
        ({"subject": "s" * 999, "text": "x"}, "content.email.subject", "998"),
        ({"subject": "", "text": "x"}, "content.email.subject", "1 character"),
        ({"subject": "s", "text": 7}, "content.email.text", "string"),
        ({"subject": "s", "text": "x", "attachments": [{}] * 21}, "content.email.attachments", "20"),
        ({"subject": "s", "text": "x", "bcc": "everybody@example.com"}, "content.email.bcc", "not permitted"),
        ({"subject": "s", "text": "x", "attachments": [{"url": "file:///etc/passwd"}]}, "content.email.attachments.0.url", "pattern"),
    ],
)  # fmt: skip
async def test_it_is_named(content: dict[str, Any], field: str, says: str) -> None:
    async with World([service]) as world:
        body = {"contactId": "c", "channel": "email", "content": {"kind": "email", **content}}
        answer = await world.http().post("/api/messages", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_FAILED")
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert says in error["detail"]
