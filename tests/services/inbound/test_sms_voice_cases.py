"""Every sample of what AWS publishes about SMS, MMS, voice and RCS becomes exactly what is written beside it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.common.declare.event import Event
from libs.messaging.providers.sms_voice import EVENTS
from services.inbound.channels import sms_two_way, sms_voice

CASES = Path("services/inbound/channels/cases")
CHANNELS = ("sms", "voice", "rcs")
SAMPLES = sorted(path for name in CHANNELS for path in (CASES / name).glob("*.json") if path.name != "expected.json")
EXPECTED = {name: json.loads((CASES / name / "expected.json").read_text()) for name in CHANNELS}
CAME = datetime(2026, 9, 1, 12, tzinfo=UTC)


def events_of(path: Path) -> list[tuple[str, Event]]:
    text = path.read_text()
    return sms_two_way.parse(text, CAME) if ".inbound." in path.name else sms_voice.parse(text)


def as_json(pairs: list[tuple[str, Event]]) -> list[dict[str, Any]]:
    return [
        {"key": key, "type": event.TYPE, "data": event.model_dump(mode="json", by_alias=True, exclude_none=True)}
        for key, event in pairs
    ]


def in_a_word(data: dict[str, Any]) -> str:
    content = data.get("content", {})
    facts = [data.get(name) for name in ("channel", "kind", "status", "errorCode", "reason", "scope")]
    return " ".join(str(word) for word in (*facts, content.get("kind")) if word is not None)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_becomes_what_is_written_beside_it(path: Path) -> None:
    assert as_json(events_of(path)) == EXPECTED[path.parent.name][path.name]


def test_the_table_of_what_each_sample_became() -> None:
    """Run with -s to read it."""
    assert sorted(name for found in EXPECTED.values() for name in found) == sorted(path.name for path in SAMPLES)
    rows = [
        (path.stem, event.TYPE.removesuffix(".v1"), in_a_word(as_json([("", event)])[0]["data"]))
        for path in SAMPLES
        for _, event in events_of(path)
    ]
    for sample, kind, word in rows:
        print(f"{sample:50} {kind:30} {word}")
    assert len(rows) >= len(SAMPLES)


def test_no_documented_type_of_event_is_unknown() -> None:
    seen = {json.loads(path.read_text()).get("eventType") for path in SAMPLES}
    documented = {kind for kind in EVENTS if not kind.startswith("MEDIA_")} - {"TEXT_SENT"}
    assert documented - seen == set(), "a sample is missing"
