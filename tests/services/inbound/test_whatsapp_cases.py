"""Every recorded sample of a feed becomes exactly the events beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from libs.common.declare.event import Event
from services.inbound.channels import whatsapp

CASES = Path("services/inbound/channels/cases/whatsapp")
SAMPLES = sorted(path for path in CASES.glob("*.json") if path.name != "expected.json")
EXPECTED = json.loads((CASES / "expected.json").read_text())


def events_of(path: Path) -> list[tuple[str, Event]]:
    parse = whatsapp.parse_meta if path.name.startswith("meta.") else whatsapp.parse
    return parse(path.read_text())


def as_json(pairs: list[tuple[str, Event]]) -> list[dict[str, Any]]:
    return [
        {"key": key, "type": event.TYPE, "data": event.model_dump(mode="json", by_alias=True, exclude_none=True)}
        for key, event in pairs
    ]


def in_a_word(data: dict[str, Any]) -> str:
    content = data.get("content", {})
    said = (content.get("kind"), data.get("kind"), data.get("status"), data.get("errorCode"), data.get("wanted"))
    return " ".join(str(word) for word in said if word is not None)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_becomes_what_is_written_beside_it(path: Path) -> None:
    assert as_json(events_of(path)) == EXPECTED[path.name]


def test_the_table_of_what_each_sample_became() -> None:
    """Run with -s to read it."""
    assert set(EXPECTED) == {path.name for path in SAMPLES}
    rows = [
        (path.stem, event.TYPE.removesuffix(".v1"), in_a_word(as_json([("", event)])[0]["data"]))
        for path in SAMPLES
        for _, event in events_of(path)
    ]
    for sample, kind, word in rows:
        print(f"{sample:62} {kind:28} {word}")
    assert len(rows) >= len(SAMPLES)
