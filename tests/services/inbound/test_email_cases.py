"""Every sample of SES becomes exactly the events beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from libs.common.declare.event import Event
from services.inbound.channels import email

CASES = Path("services/inbound/channels/cases/email")
SAMPLES = sorted(CASES.glob("ses.*"))
EXPECTED = json.loads((CASES / "expected.json").read_text())


def as_json(pairs: list[tuple[str, Event]]) -> list[dict[str, Any]]:
    return [
        {"key": key, "type": event.TYPE, "data": event.model_dump(mode="json", by_alias=True, exclude_none=True)}
        for key, event in pairs
    ]


def in_a_word(data: dict[str, Any]) -> str:
    content = data.get("content", {})
    said = (content.get("kind"), data.get("kind"), data.get("status"), data.get("errorCode"), data.get("reason"))
    return " ".join(str(word) for word in (*said, data.get("scope"), data.get("wanted")) if word is not None)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_becomes_what_is_written_beside_it(path: Path) -> None:
    assert as_json(email.parse(path.read_text())) == EXPECTED[path.name]


def test_the_table_of_what_each_sample_became() -> None:
    """Run with -s to read it."""
    assert set(EXPECTED) == {path.name for path in SAMPLES}
    rows = [
        (path.stem, event.TYPE.removesuffix(".v1"), in_a_word(as_json([("", event)])[0]["data"]))
        for path in SAMPLES
        for _, event in email.parse(path.read_text())
    ]
    for sample, kind, word in rows:
        print(f"{sample:62} {kind:28} {word}")
    assert len(rows) >= len(SAMPLES)
