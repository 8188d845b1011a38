"""Every sender over its own cases: message in, request or refusal out. A channel without cases or README fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.outbound.contract import Account, Invalid
from tests.channels.senders import CHANNELS, FOLDER, MESSAGE_ID, cases_of, channel_of, outgoing

CASES = [
    pytest.param(channel, case, id=f"{channel}: {case['name']}") for channel in CHANNELS for case in cases_of(channel)
]


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


def test_every_folder_is_a_sender() -> None:
    assert sorted(folder.name for folder in FOLDER.iterdir() if (folder / "__init__.py").exists()) == CHANNELS
