"""Every channel over its own cases: message in, request or refusal out. A channel without cases fails."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from libs.messaging.content import Content
from libs.messaging.vocabulary import MessageClass, Purpose
from services.outbound.contract import Account, Channel, Invalid, Outgoing

FOLDER = Path(__file__).parents[3] / "services" / "outbound" / "channels"
CHANNELS = sorted(folder.parent.name for folder in FOLDER.glob("*/channel.py"))
#: WhatsApp for a number that is connected at Meta itself: the same channel, another client.
META = "whatsapp at Meta"
#: Whoever sits the exams: every channel by AWS, and that one.
WAYS = [*CHANNELS, META]
CASES = [
    pytest.param(channel, case, id=f"{channel}: {case['name']}")
    for channel in CHANNELS
    for path in sorted((FOLDER / channel / "cases").glob("*.json"))
    for case in json.loads(path.read_text())
]
MESSAGE_ID = "0d3c9a4e-5f60-5a7b-8c9d-000000000001"


def channel_of(name: str) -> Channel:
    """The one channel that a folder's ``channel.py`` defines."""
    module = importlib.import_module(f"services.outbound.channels.{name}.channel")
    found = [
        kind for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__ and hasattr(kind, "render")
    ]  # fmt: skip
    assert len(found) == 1
    return found[0]()  # type: ignore[no-any-return]


def channel_name(way: str) -> str:
    """The folder of one of ``WAYS``."""
    return way.partition(" ")[0]


def outgoing(message: dict[str, Any]) -> Outgoing:
    return Outgoing(
        message_id=MESSAGE_ID,
        to=message["to"],
        content=TypeAdapter(Content).validate_python(message["content"]),
        message_class=MessageClass(message.get("messageClass", "transactional")),
        purpose=Purpose(message.get("purpose", "service")),
        in_reply_to=message.get("inReplyTo"),
        seconds_to_live=message.get("secondsToLive"),
    )


def readable(request: dict[str, Any]) -> dict[str, Any]:
    """A request as a case writes it: bytes that hold JSON are that JSON."""
    return {name: json.loads(value) if isinstance(value, bytes) else value for name, value in request.items()}


@pytest.mark.parametrize(("name", "case"), CASES)
def test_case(name: str, case: dict[str, Any]) -> None:
    channel = channel_of(name)
    account = Account(case.get("sender", "sender-1"), case.get("options", {}))
    if "refused" in case:
        with pytest.raises(Invalid) as refused:
            channel.render(outgoing(case["message"]), account)
        assert refused.value.code == case["refused"]
        return
    request = channel.render(outgoing(case["message"]), account)
    seen = readable(request)
    assert {part: seen.get(part) for part in case["expect"]} == case["expect"]
    assert MESSAGE_ID in json.dumps(seen), "our id must travel in the field that the provider echoes"
    assert channel.units(request) >= 1


@pytest.mark.parametrize("name", CHANNELS)
def test_has_cases(name: str) -> None:
    assert any(case.values[0] == name for case in CASES), "a channel without cases"
    assert (FOLDER / name / "README.md").exists()
