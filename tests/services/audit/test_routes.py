"""From the declarations: whatever changes something by a route goes on record, and a new route cannot be forgotten."""

from __future__ import annotations

import pytest

from libs.common.aws.auth import Role
from libs.common.declare.discover import discover
from libs.common.declare.request_events import RequestHandled, RequestRefused, action_of
from libs.common.declare.service import Service
from libs.common.hosts.http.routes import Api, Route
from services.audit.service import service as audit

SERVICES = discover()
ROUTES = [(s, route) for s in SERVICES if isinstance(s.serves, Api) for route in s.serves.routes]
MUTATING = [(s, route) for s, route in ROUTES if route.method != "GET"]
WRITES = [(s, route) for s, route in MUTATING if route.kind == "write"]

#: They ask with a body and change nothing.
CHANGES_NOTHING = {"/api/dlq/simulate", "/api/templates/{template_id}/preview"}
#: Nobody of ours asks here: providers tell facts (what follows from them is said as events), and a recipient leaves a mailing
#: (the withdrawn consent is an entry).
NOT_OURS = {"/webhooks/meta", "/webhooks/sns/{feed}", "/u/{token}"}
#: About no one thing.
NO_RESOURCE = {"/api/dlq/discard", "/api/templates/sync"}


def name(both: tuple[Service, Route]) -> str:
    return f"{both[1].method} {both[1].path}"


def test_every_route_that_is_no_get_is_on_record_or_known_to_change_nothing() -> None:
    assert len(WRITES) > 25
    others = [route for both in MUTATING if both not in WRITES for route in [both[1]]]
    assert {route.path for route in others if route.kind == "read"} == CHANGES_NOTHING
    assert {route.path for route in others if route.kind == "public"} == NOT_OURS


def test_no_get_changes_anything() -> None:
    assert [name(both) for both in ROUTES if both[1].method == "GET" and both[1].kind == "write"] == []


@pytest.mark.parametrize("both", WRITES, ids=name)
def test_a_mutating_route_has_an_action_of_its_own_and_says_what_it_is_about(both: tuple[Service, Route]) -> None:
    service, route = both
    action = action_of(service.name, route.function)
    assert [name(each) for each in WRITES if action_of(each[0].name, each[1].function) == action] == [name(both)]
    assert RequestHandled in service.facts()
    assert bool(route.about or "{" in route.path) == (route.path not in NO_RESOURCE)


def test_every_service_with_roles_says_their_breaches_and_audit_hears_both() -> None:
    for service, route in ROUTES:
        assert route.role is None or RequestRefused in service.facts()
    assert {RequestHandled, RequestRefused} <= {heard.event for heard in audit.hears}


def test_only_administrators_see_the_record() -> None:
    assert {route.role for service, route in ROUTES if service is audit} == {Role.ADMIN}
