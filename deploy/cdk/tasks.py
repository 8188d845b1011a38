"""The ECS services: per service one for its queues, further ones for separate lanes, and one for its HTTP routes. Imports no
AWS library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from deploy.cdk.plan import Plan
from deploy.local.processes import BULK, OTP
from libs.common.declare.service import Service

HEALTH_PORT = 8081
HTTP_PORT = 8080
#: Lane group -> the queues that belong to it, wherever they are; as in `make up`.
LANES = {"bulk": BULK, "otp": OTP}
#: Values that the conditions of one rule of a load balancer may have is five.
MAX_PATHS_PER_RULE = 4


@dataclass(frozen=True)
class Task:
    """``queues``: those that it works for, by name without prefix, including its dead-letter queues."""

    name: str
    service: Service
    command: tuple[str, ...]
    queues: tuple[str, ...] = ()
    http: bool = False
    ticks: bool = False


def tasks_of(plan: Plan, service: Service) -> Iterator[Task]:
    queues = [spec.name.removeprefix(f"{plan.prefix}-") for spec in plan.queues(service)]
    own = {spec.name.removeprefix(f"{plan.prefix}-") for spec in plan.queues(service) if not spec.source_queue}
    apart = {group: [q for q in queues if q in own and _is_in(q, group)] for group in LANES}
    worker = ("libs.common.hosts.run", service.name, "--health-port", str(HEALTH_PORT))
    left = [queue for queue in queues if not any(queue in group for group in apart.values())]
    groups = {group: names for group, names in apart.items() if names}
    ticks = service.uses_ledger()
    if left or ticks:
        others = [queue for names in groups.values() for queue in names]
        command = (*worker, "--but-queues", *others) if others else worker
        yield Task(service.name, service, command, tuple(left), ticks=ticks)
    for group, names in groups.items():
        yield Task(f"{service.name}-{group}", service, (*worker, "--queues", *names), tuple(names))
    if getattr(service.serves, "routes", ()):
        command = ("libs.common.hosts.run", service.name, "--http", str(HTTP_PORT), "--no-worker")
        yield Task(f"{service.name}-api", service, command, http=True)


def _is_in(queue: str, group: str) -> bool:
    return any(fnmatchcase(queue, pattern) for pattern in LANES[group])


def paths(service: Service) -> list[str]:
    """What a load balancer's rules need to know of the routes of a service: their path prefixes (``/api/contacts``)."""
    begins = []
    for route in service.serves.routes:
        parts = route.path.strip("/").split("/")
        begins.append("/" + "/".join(parts[: 2 if parts[0] == "api" else 1]))
    return list(dict.fromkeys(begins))


def rules(services: Sequence[Service]) -> list[tuple[Service, list[str]]]:
    """Rules by priority: a service and its path patterns. Raises ValueError if two share a prefix."""
    whose: dict[str, str] = {}
    found = []
    for service in services:
        begins = paths(service) if getattr(service.serves, "routes", ()) else []
        for begin in begins:
            if whose.setdefault(begin, service.name) != service.name:
                raise ValueError(f"{service.name} and {whose[begin]} both serve {begin}: no rule can tell them apart")
        patterns = [pattern for begin in begins for pattern in (begin, f"{begin}/*")]
        found += [
            (service, patterns[at : at + MAX_PATHS_PER_RULE]) for at in range(0, len(patterns), MAX_PATHS_PER_RULE)
        ]
    return found
