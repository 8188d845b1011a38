"""Whatever a client sends, the answer is a refusal or an acceptance, never a crash of the simulator."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.simulator.errors import ProviderError
from libs.simulator.model import Invalid, service_model
from libs.simulator.sesv2 import compose
from libs.simulator.socialmessaging import body, template_rules
from libs.simulator.socialmessaging.account import Account

SAMPLES = Path(__file__).parent / "samples"
BODIES = [json.loads(p.read_text()) for p in sorted(SAMPLES.glob("whatsapp.message.*.json"))]
REQUESTS = [(p.name.split(".")[1], json.loads(p.read_text())) for p in sorted(SAMPLES.glob("sms-voice.*.request.json"))]
DEFINITION = {
    "name": "greeting", "language": "en_US", "category": "UTILITY",
    "components": [
        {"type": "HEADER", "format": "TEXT", "text": "Hi {{1}}", "example": {}},
        {"type": "BODY", "text": "Hello {{1}}, welcome.", "example": {}},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "x", "url": "https://example.com/{{1}}"}]},
    ],
}  # fmt: skip
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [p for key, item in items for p in paths(item, (*at, key))]


@st.composite
def mangled(draw: st.DrawFn, samples: list[Any]) -> Any:
    """A recorded document with one member replaced by junk or left out."""
    value = copy.deepcopy(draw(st.sampled_from(samples)))
    path = draw(st.sampled_from(paths(value)))
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    if draw(st.booleans()) and isinstance(parent, dict):
        del parent[path[-1]]
    else:
        parent[path[-1]] = draw(JUNK)
    return value


@settings(max_examples=300, deadline=None)
@given(mangled(BODIES))
def test_a_mangled_message_body_is_refused_or_sent(value: Any) -> None:
    try:
        checked = body.check(value)
    except ProviderError:
        return
    if checked.kind == "template":
        waba = next(iter(Account("us-east-1").wabas.values()))
        found = template_rules.find_template(waba, value["template"])
        if not isinstance(found, dict):
            template_rules.check_parameters(found, value["template"])


@settings(max_examples=200, deadline=None)
@given(mangled([DEFINITION]))
def test_a_mangled_template_definition_is_refused_or_taken(value: Any) -> None:
    try:
        template_rules.check_definition(value)
    except ProviderError:
        return


@settings(max_examples=200, deadline=None)
@given(mangled([list(r) for r in REQUESTS]).filter(lambda r: isinstance(r, list) and len(r) == 2))
def test_a_mangled_request_is_refused_or_read(request: Any) -> None:
    model = service_model("pinpoint-sms-voice-v2")
    operation = model.operations.get(request[0]) if isinstance(request[0], str) else None
    if operation is None:
        return
    try:
        model.read(operation, json.dumps(request[1]).encode(), "", {})
    except (Invalid, ProviderError):
        return


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_raw_message_or_refused(data: bytes) -> None:
    try:
        compose.from_raw(data, None, {})
    except ProviderError:
        return
