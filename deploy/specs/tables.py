"""Markdown tables from the topology: what each service owns, hears, says and serves, and its grants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic.fields import FieldInfo

from libs.common.declare.names import Names
from libs.common.declare.request_events import action_of
from libs.common.declare.service import Service
from libs.common.declare.topology import owned, topology
from libs.common.hosts.http.routes import Api
from libs.common.settings import groups, variable

BEGIN, END = "<!-- generated: do not edit below -->", "<!-- end of generated -->"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |", *body])


def of_service(service: Service) -> str:
    """The part of a service's README that is generated."""
    names = Names("wecare-<stage>")
    rows: list[tuple[str, str, str]] = []
    for item in owned(service):
        table = item.TABLE
        key = f"{table.key}, {table.sort}" if table.sort else table.key
        ttl = f"; TTL `{table.ttl}`" if table.ttl else ""
        indexes = "".join(f"; `{index.name}`" for index in table.indexes)
        rows.append(("owns", f"`{names.table(service.name, item)}`", f"key `{key}`{ttl}{indexes}"))
    for feed in service.feeds:
        rows.append(("hears", f"feed `{feed.name}`", f"queue `{names.feed_queue(service.name, feed.name)}`"))
    for heard in service.hears:
        where = ", ".join(f"{name} = {'/'.join(values)}" for name, values in heard.where.items())
        how = "by ledger" if heard.ledger else "by condition"
        lane = f"queue `{names.queue(service.name, heard.lane)}`"
        rows.append(("hears", f"`{heard.event.TYPE}`", "; ".join(part for part in (where, how, lane) if part)))
    rows += [("says", f"`{event.TYPE}`", (event.__doc__ or "").strip().split("\n")[0]) for event in service.facts()]
    rows += [("every", f"{tick.seconds} s", tick.label()) for tick in service.every]
    if isinstance(service.serves, Api):
        for route in service.serves.routes:
            rows.append(("serves", f"`{route.method} {route.path}`", route.role.name if route.role else "public"))
    return _table(("", "what", "how"), rows)


def of_platform(services: Sequence[Service]) -> str:
    """docs/generated/topology.md."""
    whole = topology(services, "wecare-<stage>")
    parts = ["# The topology", "Generated from the declarations by `python -m deploy.specs`."]
    parts += ["## Tables", _table(
        ("table", "owner", "item", "key", "indexes", "TTL"),
        [(f"`{t.name}`", t.service, t.item, ", ".join(filter(None, (t.table.key, t.table.sort))),
          ", ".join(i.name for i in t.table.indexes), t.table.ttl or "") for t in whole.tables],
    )]  # fmt: skip
    parts += [
        "## Topics",
        _table(
            ("topic", "besides us, published to by"), [(f"`{t.name}`", ", ".join(t.principals)) for t in whole.topics]
        ),
    ]
    parts += ["## Queues", _table(
        ("queue", "service", "lane or feed", "visibility", "dead letters"),
        [(f"`{q.name}`", q.service, q.lane or q.feed, f"{q.visibility} s", f"`{q.dlq}`") for q in whole.queues],
    )]  # fmt: skip
    parts += ["## Subscriptions", _table(
        ("topic", "queue", "filter"),
        [(f"`{s.topic}`", f"`{s.queue}`", "; ".join(f"{k}: {', '.join(v)}" for k, v in s.filter.items()) or "everything")
         for s in whole.subscriptions],
    )]  # fmt: skip
    parts += [
        "## Schedules",
        _table(("schedule", "every"), [(f"`{s.name}`", f"{s.seconds} s") for s in whole.schedules]),
    ]
    parts += ["## Grants", _table(
        ("service", "actions", "on"),
        [(g.service, ", ".join(g.actions), ", ".join(f"`{r}`" for r in g.resources)) for g in whole.grants],
    )]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def of_actions(services: Sequence[Service]) -> str:
    """docs/generated/actions.md: the actions of people, by their names in the audit log."""
    rows = [
        (f"`{action_of(service.name, route.function)}`", f"`{route.method} {route.path}`",
         route.role.name if route.role else "", (route.about or route.path.partition("{")[2].partition("}")[0]))
        for service in services if isinstance(service.serves, Api)
        for route in service.serves.routes if route.kind == "write"
    ]  # fmt: skip
    said = "Generated from the routes by `python -m deploy.specs`. Each accepted request is one audit entry under this name."
    head = ("action", "route", "role", "resource")
    return "\n\n".join(["# Actions", said, _table(head, sorted(rows))]) + "\n"


def of_settings() -> str:
    """docs/generated/settings.md: every variable of our processes. All services must have been imported."""
    parts = ["# Settings"]
    parts += ["Generated from the declarations by `python -m deploy.specs`. Each is a variable of the environment."]
    head = ("variable", "default", "what")
    for group in sorted(groups(), key=lambda each: each.__module__):
        purpose = (group.__doc__ or "").strip().partition("\n")[0]
        parts += [f"## `{group.__module__}`", purpose]
        parts += [
            _table(head, ((f"`{variable(name)}`", _default(field), _text(field.description)) for name, field in group.model_fields.items()))
        ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if value in ("", (), {}) else f"`{value}`"


def _text(description: str | None) -> str:
    return " ".join((description or "").split()).replace("``", "`").replace("|", "\\|")
