"""Every translator over its recorded cases: each sample of a feed or webhook becomes exactly the events beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.common.declare.event import Event
from libs.messaging.providers.sms_voice import EVENTS
from services.inbound.contract import Keyed
from services.inbound.service import TRANSLATORS, service
from tests.channels.senders import CHANNELS

CASES = Path(__file__).parents[2] / "services" / "inbound" / "channels" / "cases"
#: When a message of a feed came that does not tell its time.
CAME = datetime(2026, 9, 1, 12, tzinfo=UTC)
#: Feed or webhook -> what reads its body.
READERS: dict[str, Callable[[bytes], Keyed]] = {
    feed.name: lambda body, feed=feed: list(feed.translate(body.decode(), CAME))  # type: ignore[misc]
    for feed in service.feeds
} | {name: parse for each in TRANSLATORS.values() for name, parse in each.webhooks.items()}
SAMPLES = sorted(path for name in READERS for path in (CASES / name).glob("*") if path.name != "expected.json")
EXPECTED: dict[str, dict[str, Any]] = {
    path.parent.name: json.loads(path.read_text()) for path in sorted(CASES.glob("*/expected.json"))
}


def as_json(pairs: list[tuple[str, Event]]) -> list[dict[str, Any]]:
    return [
        {"key": key, "type": event.TYPE, "data": event.model_dump(mode="json", by_alias=True, exclude_none=True)}
        for key, event in pairs
    ]


def in_a_word(data: dict[str, Any]) -> str:
    facts = [data.get(name) for name in ("channel", "kind", "status", "errorCode", "reason", "scope", "wanted")]
    return " ".join(str(word) for word in (*facts, data.get("content", {}).get("kind")) if word is not None)


def events_of(path: Path) -> Keyed:
    return READERS[path.parent.name](path.read_bytes())


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
        print(f"{sample:62} {kind:30} {word}")
    assert len(rows) >= len(SAMPLES)


@pytest.mark.parametrize("name", READERS)
def test_a_feed_has_cases(name: str) -> None:
    assert EXPECTED.get(name), f"no recorded case in {CASES.name}/{name}"


def test_every_folder_of_cases_is_read() -> None:
    assert sorted(folder.name for folder in CASES.iterdir()) == sorted(READERS)


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_is_reported_on(channel: str) -> None:
    events = [event for cases in EXPECTED.values() for case in cases.values() for event in case]
    said = {(event["type"], event["data"].get("channel")) for event in events}
    assert ("inbound.receipt-received.v1", channel) in said, "no case of a receipt of this channel"


def test_no_documented_type_of_event_is_unknown() -> None:
    reported = [json.loads(path.read_text()) for path in SAMPLES if path.parent.name == "sms-voice"]
    documented = {kind for kind in EVENTS if not kind.startswith("MEDIA_")} - {"TEXT_SENT"}
    assert documented - {event.get("eventType") for event in reported} == set(), "a sample is missing"
