"""A service that somebody adds is rendered by its declaration alone; what cannot be rendered is said."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deploy.cdk.plan import plan
from libs.common.declare.discover import discover
from libs.common.declare.event import Event
from libs.common.declare.service import USER_POOL, Bucket, Every, Feed, Grant, Secret, Service, on
from libs.common.declare.topology import Topology
from libs.common.hosts.http.routes import Api
from libs.common.store.item import Index, Item, Table
from tests.cdk.templates import synthesised


class KettleBoiled(Event):
    """A toy event."""

    TYPE: ClassVar[str] = "kettles.kettle-boiled.v1"
    ABOUT: ClassVar[str] = "kettle_id"
    kettle_id: str


class Kettle(Item):
    """A toy row."""

    TABLE: ClassVar[Table] = Table("kettle", "kettleId", indexes=(Index("byRoom", "room"),), ttl="expiresAt")
    kettle_id: str


async def _nothing(*_: Any) -> None: ...


async def _tick(ctx: Any) -> Any:
    for step in ():
        yield step


KETTLES = Service(
    "kettles",
    owns=[Kettle],
    says=[KettleBoiled],
    hears=[on(KettleBoiled, _nothing), on(KettleBoiled, _nothing, lane="bulk")],
    every=[Every(60, _tick, "look")],
    needs=[Bucket("pictures", days=30), Secret("key"), Grant(("cognito-idp:ListUsers",), (USER_POOL,))],
    feeds=[Feed("steam", lambda body: [], ("ses.amazonaws.com",))],
)
#: Member of a declaration -> what becomes of it. A new member must be thought about here, and then rendered.
RENDERED = {
    "name": "names", "owns": "tables", "hears": "queues, subscriptions", "says": "topics", "serves": "routes", "every": "schedules",
    "needs": "buckets, secrets, grants", "feeds": "topics, queues", "hears_letters": "mappings", "gives_up": "-",
    "checks": "-", "counts": "-",
}  # fmt: skip
PARTS = {
    "prefix", "tables", "topics", "queues", "subscriptions", "buckets", "secrets", "schedules", "grants", "letter_queues"
}  # fmt: skip


def test_every_member_of_a_declaration_has_somebody_who_renders_it() -> None:
    assert {each.name for each in fields(Service)} == set(RENDERED)
    assert {each.name for each in fields(Topology)} == PARTS


@pytest.mark.parametrize("hosts", ["lambda", "ecs"])
def test_a_new_service_is_rendered_by_its_declaration_alone(hosts: Any, tmp_path: Path) -> None:
    made = synthesised(plan(hosts, "dev", services=[*discover(), KETTLES]), tmp_path)
    text = str([*made.stacks.values()])
    for name in (
        "wecare-dev-kettles-kettle", "wecare-dev-kettles-bulk-dlq", "wecare-dev-feed-steam", "wecare-dev-kettles-feed-steam",
        "wecare-dev-kettles-pictures", "wecare-dev/kettles/key", "wecare-dev-kettles", "letters-kettles-bulk",
    ):  # fmt: skip
        assert name in text, name
    roles = [role for role in made.of("AWS::IAM::Role") if role["RoleName"].startswith("wecare-dev-kettles")]
    assert len(roles) == 1
    assert "/index/byRoom" in str(roles)
    if hosts == "lambda":
        assert "wecare-dev-kettles-look" in text
        # Its dead letters are heard as everybody's are.
        sources = str(list(made.of("AWS::Lambda::EventSourceMapping")))
        assert "wecare-dev-kettles-bulk-dlq" in sources
    else:
        commands = [task["ContainerDefinitions"][0]["Command"] for task in made.of("AWS::ECS::TaskDefinition")]
        assert sum("kettles" in command for command in commands) == 2


def test_two_services_that_a_load_balancer_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    contacts = next(service for service in discover() if service.name == "contacts")
    twin = replace(KETTLES, serves=contacts.serves)
    assert isinstance(twin.serves, Api)
    with pytest.raises(ValueError, match="both serve /api/contacts"):
        synthesised(plan("ecs", "dev", services=[*discover(), twin]), tmp_path)


@pytest.mark.parametrize(
    ("stage", "more", "words"),
    [
        ("local", {}, "make up"),
        ("prod", {}, "PUBLIC_URL"),
        ("Prod!", {}, "WECARE_STAGE"),
        ("dev", {"given": {"WECARE_SEND_MODE": "SOMETIMES"}}, "WECARE_SEND_MODE"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(stage: str, more: dict[str, Any], words: str) -> None:
    with pytest.raises(SystemExit, match=words):
        plan("lambda", stage, **more)
