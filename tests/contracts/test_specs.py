"""What is generated is current, and what was promised still holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy.specs.__main__ import SCHEMAS, rendered, schemas
from libs.common.declare.discover import ROOT, discover
from libs.common.declare.names import Names
from libs.common.declare.request_events import RequestHandled
from libs.common.declare.topology import topology
from libs.common.hosts.http.routes import Api

SERVICES = discover()


@pytest.mark.parametrize("path", [str(p.relative_to(ROOT)) for p, _ in rendered(SERVICES)])
def test_generated_documents_are_current(path: str) -> None:
    wanted = {str(p.relative_to(ROOT)): text for p, text in rendered(SERVICES)}[path]
    assert (ROOT / path).read_text() == wanted, "run: .venv/bin/python -m deploy.specs"


def _breaks(old: Any, new: Any, where: str = "") -> list[str]:
    """How ``new`` breaks whoever relies on ``old``: a member gone, of another type, or newly required."""
    found: list[str] = []
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, kind in before.items():
        if name not in after:
            found.append(f"{where}{name} is gone")
        elif _type(kind) != _type(after[name]):
            found.append(f"{where}{name} was {_type(kind)}, is {_type(after[name])}")
    found += [f"{where}{name} is new and required" for name in set(new.get("required", [])) - set(before)]
    for name, definition in old.get("$defs", {}).items():
        if name in new.get("$defs", {}):
            found += _breaks(definition, new["$defs"][name], f"{name}.")
            gone = set(map(str, definition.get("enum", []))) - set(map(str, new["$defs"][name].get("enum", [])))
            found += [f"{name} no longer has {value}" for value in sorted(gone)]
    return found


def _type(kind: dict[str, Any]) -> str:
    return json.dumps({key: kind.get(key) for key in ("type", "$ref", "anyOf", "items", "const")}, sort_keys=True)


@pytest.mark.parametrize("event", [path.stem for path, _ in schemas(SERVICES)])
def test_an_event_never_breaks_its_frozen_schema(event: str) -> None:
    path, text = next((p, t) for p, t in schemas(SERVICES) if p.stem == event)
    assert path.exists(), "a new event: run .venv/bin/python -m deploy.specs and commit its schema"
    assert _breaks(json.loads(path.read_text()), json.loads(text)) == []


def test_no_event_that_was_promised_has_gone() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} - {path.stem for path, _ in schemas(SERVICES)} == set()


def test_a_breaking_change_is_seen() -> None:
    old = {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]}
    new = {"properties": {"a": {"type": "integer"}, "c": {"type": "string"}}, "required": ["a", "c"]}
    assert len(_breaks(old, new)) == 3


def test_every_service_may_touch_its_own_things_only() -> None:
    whole = topology(SERVICES, "p")
    names = Names("p")
    owner = {f"table:{table.name}": table.service for table in whole.tables}
    owner |= {f"queue:{queue.name}": queue.service for queue in whole.queues}
    owner |= {f"queue:{queue.dlq}": queue.service for queue in whole.queues}
    said = {service.name: {f"topic:{names.topic(e.topic())}" for e in service.facts()} for service in SERVICES}
    letters = {f"queue:{q.name}": q.service for q in whole.dead_letter_queues}
    replays = {f"queue:{q.source_queue}": q.service for q in whole.dead_letter_queues}
    for grant in whole.grants:
        for resource in grant.resources:
            kind = resource.partition(":")[0]
            if letters.get(resource) == grant.service:
                # Whoever hears the dead letters takes them from every queue ...
                continue
            if replays.get(resource) == grant.service and owner[resource] != grant.service:
                # ... and may put them back, but not take or hide what is alive.
                assert set(grant.actions) == {"sqs:GetQueueUrl", "sqs:SendMessage"}
            elif kind in ("table", "queue"):
                assert owner[resource] == grant.service
            elif kind == "topic":
                assert resource in said[grant.service]
        assert not any(action.endswith("*") for action in grant.actions)


def test_every_topic_has_one_owner_but_the_senders_who_share_one() -> None:
    speakers: dict[str, set[str]] = {}
    for service in SERVICES:
        for event in service.says:
            speakers.setdefault(event.topic(), set()).add(service.name)
    shared = {topic: names for topic, names in speakers.items() if len(names) > 1}
    assert all(name.startswith("outbound-") for names in shared.values() for name in names)
    # What the kit says of requests is said in the name of each, and declared by none.
    assert RequestHandled.topic() not in speakers


def test_every_route_names_its_role_or_says_public() -> None:
    routes = [route for s in SERVICES if isinstance(s.serves, Api) for route in s.serves.routes]
    assert routes
    assert len({(route.method, route.path) for route in routes}) == len(routes)
    for route in routes:
        assert (route.role is None) == (route.kind == "public"), route.path
