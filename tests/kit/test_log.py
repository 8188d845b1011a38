"""The permitted content of log lines."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator

import pytest
import structlog
from pydantic import BaseModel, ValidationError

from libs.common.clock import random_id
from libs.common.observe.log import about, configure, describe, redact, secrets_in


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("to +12025550123 now", "to [phone] now"),
        ("to +1 (202) 555-0123.", "to [phone]."),
        ('{"wa_id":"12025550123"}', '{"wa_id":"[phone]"}'),
        ("tel:12025550123", "tel:[phone]"),
        ("from Ann.O'Neil+x@mail.example.com:", "from Ann.O'[email]:"),
        ("Authorization: Bearer abc.DEF-123_~+/=", "Authorization: [token]"),
        ("token eyJhbGciOi.eyJzdWIi.c2ln", "token [token]"),
        ("key x-eyJhbGciOi.eyJzdWIi.c2ln, eyJ-eyJ.", "key [token], eyJ-eyJ."),
        ("a@b@mail.example.com a.b@c", "a@[email] a.b@c"),
        ("12 of 300 in 4500 ms", "12 of 300 in 4500 ms"),
        ("5f2b3ab8-6f0d-5d0e-9a53-123456789012", "5f2b3ab8-6f0d-5d0e-9a53-123456789012"),
        ("2026-01-15T12:00:00.000Z", "2026-01-15T12:00:00.000Z"),
    ],
)
def test_addresses_and_tokens_are_masked_and_ids_and_numbers_stay(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_drawn_ids_stay_legible() -> None:
    for text in [random_id() for _ in range(2000)]:
        assert redact(text) == text


def test_an_exception_may_not_quote_what_stands_under_a_hidden_name() -> None:
    wire = {"id": "e1", "data": {"body": "meet me at noon", "parts": [{"text": "alone"}], "name": "kept"}}
    error = RuntimeError("cannot store 'meet me at noon' or alone of kept e1")
    assert describe(error, secrets_in(wire)) == "cannot store '[hidden]' or [hidden] of kept e1"


@pytest.mark.parametrize("part", ["a", "a.", "eyJ-", "eyJ.", "bearer ", "input_value=", "+1", "1 ", "a.b@", "a@b."])
def test_masking_takes_time_in_proportion_to_the_text(part: str) -> None:
    """A third party controls the text: with quadratic time this length would take minutes."""
    text, begun = part * (100_000 // len(part)), time.process_time()
    redact(text)
    assert time.process_time() - begun < 2


def test_an_exception_that_quotes_many_secrets_at_length_is_not_described() -> None:
    error = RuntimeError(" ".join(f"secret {n}" for n in range(20_000)))
    begun = time.process_time()
    assert describe(error, [f"secret {n}" for n in range(20_000)]) == "RuntimeError (too long to be described)"
    assert time.process_time() - begun < 2


def test_a_secret_that_holds_another_is_hidden_whole() -> None:
    assert describe(RuntimeError("about ann and annabel"), ["ann", "annabel"]) == "about [hidden] and [hidden]"


def test_a_validation_error_does_not_quote_its_input() -> None:
    class Shape(BaseModel):
        size: int

    with pytest.raises(ValidationError) as caught:
        Shape.model_validate({"size": "my secret diary"})
    assert "diary" not in describe(caught.value)
    assert "size" in describe(caught.value)


@pytest.fixture
def apart() -> Iterator[None]:
    """The standard library's logging is as before afterwards."""
    root, ended = logging.getLogger(), sys.excepthook
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    sys.excepthook = ended
    logging.captureWarnings(False)


@pytest.mark.usefixtures("apart")
def test_a_line_is_json_with_its_context_and_without_personal_data(capsys: pytest.CaptureFixture[str]) -> None:
    configure("INFO")
    log = structlog.get_logger()
    try:
        about.set({"event_id": "e1"})
        with structlog.contextvars.bound_contextvars(service="toy"):
            log.debug("not shown")
            try:
                raise ValueError("call +12025550123")
            except ValueError:
                log.exception("failed for x@example.com", body="hello", parts={"Text": "hi", "n": [1, "+12025550123"]})
    finally:
        about.set({})
        structlog.reset_defaults()
    captured = capsys.readouterr()
    assert captured.out == ""
    line = json.loads(captured.err)
    assert (line["service"], line["event_id"], line["level"]) == ("toy", "e1", "error")
    assert (line["event"], line["body"]) == ("failed for [email]", "[hidden]")
    assert line["parts"] == {"Text": "[hidden]", "n": [1, "[phone]"]}
    assert (line["error"], line["why"]) == ("ValueError", "call [phone]")
    assert line["where"][0].endswith("test_a_line_is_json_with_its_context_and_without_personal_data")
