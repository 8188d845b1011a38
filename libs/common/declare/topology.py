"""Derives everything from the declarations: tables, topics, queues, filters, buckets, schedules, grants.

Local provisioning, CDK, documents and tests all render this one value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from libs.common.declare.ledger import OUTBOX_LABEL, OUTBOX_SECONDS, LedgerEntry
from libs.common.declare.names import Names
from libs.common.declare.service import USER_POOL, Bucket, Grant, On, Secret, Service
from libs.common.store.item import Item, Table

#: Sufficient for the slowest provider call (10 s) and its writes; slow handlers extend it.
VISIBILITY_SECONDS = 30
#: The redrive limit for messages whose receivers stop before they record a failure. Observed failures are dead-lettered
#: earlier, with their cause.
MAX_RECEIVES = 50
RETENTION_SECONDS = 14 * 24 * 3600


@dataclass(frozen=True)
class TableSpec:
    name: str
    service: str
    item: str
    table: Table

    def key_attributes(self) -> list[str]:
        """The attributes of all keys (all are strings), without duplicates."""
        names = [self.table.key, self.table.sort]
        for index in self.table.indexes:
            names += [index.hash, index.sort]
        return list(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True)
class TopicSpec:
    """``principals``: AWS services that may also publish (feeds)."""

    name: str
    principals: tuple[str, ...] = ()


@dataclass(frozen=True)
class QueueSpec:
    name: str
    dlq: str
    service: str
    lane: str = ""
    feed: str = ""
    #: The source queue; a dead-letter queue has no dead-letter queue of its own.
    source_queue: str = ""
    visibility: int = VISIBILITY_SECONDS
    max_receives: int = MAX_RECEIVES
    retention: int = RETENTION_SECONDS


@dataclass(frozen=True)
class SubscriptionSpec:
    """Always with raw delivery. ``filter`` is a policy on message attributes; empty: everything."""

    topic: str
    queue: str
    filter: dict[str, list[str]]


@dataclass(frozen=True)
class ScheduleSpec:
    name: str
    service: str
    seconds: int


@dataclass(frozen=True)
class GrantSpec:
    """IAM statement for one service: actions on resources, each ``kind:name`` (``table:…``, ``queue:…``, ``topic:…``,
    ``bucket:…``, ``secret:…``, ``user-pool:…``) or a plain ARN pattern."""

    service: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]


@dataclass(frozen=True)
class Topology:
    prefix: str
    tables: tuple[TableSpec, ...]
    topics: tuple[TopicSpec, ...]
    queues: tuple[QueueSpec, ...]
    subscriptions: tuple[SubscriptionSpec, ...]
    buckets: tuple[tuple[str, int | None], ...]
    secrets: tuple[str, ...]
    schedules: tuple[ScheduleSpec, ...]
    grants: tuple[GrantSpec, ...]
    #: The dead-letter queues as the service that hears them consumes them.
    dead_letter_queues: tuple[QueueSpec, ...] = ()


def owned(service: Service) -> list[type[Item]]:
    """The items of a service, including its ledger if it has one."""
    return [*service.owns, *([LedgerEntry] if service.uses_ledger() else [])]


def topology(services: Sequence[Service], prefix: str) -> Topology:
    """Derive the topology. Raises ValueError if declarations contradict each other."""
    names = Names(prefix)
    _check(services)
    events = {event.topic() for service in services for event in service.facts()}
    feeds = [(service, feed) for service in services for feed in service.feeds]
    return Topology(
        prefix=prefix,
        tables=tuple(
            TableSpec(names.table(service.name, item), service.name, item.__name__, item.TABLE)
            for service in services
            for item in owned(service)
        ),
        topics=tuple(
            [TopicSpec(names.topic(topic)) for topic in sorted(events)]
            + [TopicSpec(names.feed_topic(feed.name), feed.principals) for _, feed in feeds]
        ),
        queues=tuple(queue for service in services for queue in queues_of(names, service)),
        subscriptions=tuple(sub for service in services for sub in subscriptions_of(names, service)),
        buckets=tuple(
            (names.bucket(service.name, need.name), need.days)
            for service in services
            for need in service.needs
            if isinstance(need, Bucket) and not need.owner
        ),
        secrets=_secrets(names, services),
        schedules=tuple(schedule for service in services for schedule in schedules_of(names, service)),
        grants=tuple(grant for service in services for grant in _grants(names, service))
        + tuple(_dead_letter_grants(names, services)),
        dead_letter_queues=dead_letter_queues(names, services),
    )


def _secrets(names: Names, services: Sequence[Service]) -> tuple[str, ...]:
    needed = ((s, need) for s in services for need in s.needs if isinstance(need, Secret))
    return tuple(dict.fromkeys(names.secret(need.owner or s.name, need.name) for s, need in needed))


def schedules_of(names: Names, service: Service) -> Iterable[ScheduleSpec]:
    """The schedules of a service on a host without long-running processes. Each tick also sweeps the outbox; a service with a
    ledger and without ticks has a schedule for the sweep alone."""
    for tick in service.every:
        yield ScheduleSpec(names.schedule(service.name, tick.label()), service.name, tick.seconds)
    if service.uses_ledger() and not service.every:
        yield ScheduleSpec(names.schedule(service.name, OUTBOX_LABEL), service.name, OUTBOX_SECONDS)


def _check(services: Sequence[Service]) -> None:
    events: dict[str, str] = {}
    for service in services:
        for event in service.facts():
            events.setdefault(event.TYPE, service.name)
    for service in services:
        for heard in service.hears:
            if heard.event.TYPE not in events:
                raise ValueError(f"{service.name} hears {heard.event.TYPE}, which no service says")
    if len(hearing := [service.name for service in services if service.hears_dead_letters]) > 1:
        raise ValueError(f"dead letters are handled by one service, not by {', '.join(hearing)}")
    names = [service.name for service in services]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two services are called {twice[0]}")


def queues_of(names: Names, service: Service) -> Iterable[QueueSpec]:
    """The queues that a service consumes: one for each lane, one for each feed."""
    for lane in service.lanes():
        queue = names.queue(service.name, lane)
        yield QueueSpec(queue, names.dlq(queue), service.name, lane=lane)
    for feed in service.feeds:
        queue = names.feed_queue(service.name, feed.name)
        yield QueueSpec(queue, names.dlq(queue), service.name, feed=feed.name)


def dead_letter_queues(names: Names, services: Sequence[Service]) -> tuple[QueueSpec, ...]:
    """Every dead-letter queue of ``services`` (its own, too), for the one of them that hears dead letters."""
    return tuple(
        QueueSpec(queue.dlq, "", hearing.name, source_queue=queue.name)
        for hearing in services
        if hearing.hears_dead_letters
        for service in services
        for queue in queues_of(names, service)
    )


def _dead_letter_grants(names: Names, services: Sequence[Service]) -> Iterable[GrantSpec]:
    """Grants of the service that hears dead letters: receive from every dead-letter queue, send to every source queue."""
    queues = dead_letter_queues(names, services)
    if queues:
        take = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage")
        back = ("sqs:GetQueueUrl", "sqs:SendMessage")
        yield GrantSpec(queues[0].service, take, tuple(f"queue:{queue.name}" for queue in queues))
        yield GrantSpec(queues[0].service, back, tuple(f"queue:{queue.source_queue}" for queue in queues))


def subscriptions_of(names: Names, service: Service) -> Iterable[SubscriptionSpec]:
    """The SNS subscriptions of a service's queues."""
    heard: dict[tuple[str, str], list[On]] = {}
    for item in service.hears:
        heard.setdefault((item.event.topic(), item.lane), []).append(item)
    for (topic, lane), ons in sorted(heard.items()):
        yield SubscriptionSpec(names.topic(topic), names.queue(service.name, lane), filter_policy(ons))
    for feed in service.feeds:
        yield SubscriptionSpec(names.feed_topic(feed.name), names.feed_queue(service.name, feed.name), {})


def filter_policy(ons: Sequence[On]) -> dict[str, list[str]]:
    """The narrowest filter policy that matches all of these subscriptions. SNS combines attributes with *and*, so an attribute
    is named only if each subscription filters on it; the receiver drops surplus events."""
    policy = {"type": sorted({item.event.TYPE for item in ons})}
    for name in ("channel", "class"):
        wanted = [item.where.get(name) for item in ons]
        if all(wanted):
            policy[name] = sorted({value for values in wanted for value in values or ()})
    return policy


def _grants(names: Names, service: Service) -> Iterable[GrantSpec]:
    tables = tuple(f"table:{names.table(service.name, item)}" for item in owned(service))
    if tables:
        yield GrantSpec(
            service.name,
            (
                "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem",
                "dynamodb:GetItem", "dynamodb:PartiQLDelete", "dynamodb:PartiQLInsert", "dynamodb:PartiQLSelect", "dynamodb:PartiQLUpdate",
                "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem",
            ),
            tables,
        )  # fmt: skip
    queues = tuple(queues_of(names, service))
    if queues:
        yield GrantSpec(
            service.name,
            (
                "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl",
                "sqs:ReceiveMessage", "sqs:SendMessage",
            ),
            tuple(f"queue:{queue.name}" for queue in queues),
        )  # fmt: skip
        dead = tuple(f"queue:{queue.dlq}" for queue in queues)
        yield GrantSpec(service.name, ("sqs:GetQueueUrl", "sqs:SendMessage"), dead)
    topics = sorted({event.topic() for event in service.facts()})
    if topics:
        yield GrantSpec(service.name, ("sns:Publish",), tuple(f"topic:{names.topic(topic)}" for topic in topics))
    for need in service.needs:
        if isinstance(need, Bucket):
            bucket = f"bucket:{names.bucket(need.owner or service.name, need.name)}"
            own = () if need.owner else ("s3:DeleteObject", "s3:PutObject")
            yield GrantSpec(service.name, ("s3:GetObject", *own), (f"{bucket}/*",))
            # Without it S3 answers 403 for a missing object.
            yield GrantSpec(service.name, ("s3:ListBucket",), (bucket,))
        elif isinstance(need, Secret):
            resource = f"secret:{names.secret(need.owner or service.name, need.name)}"
            yield GrantSpec(service.name, ("secretsmanager:GetSecretValue",), (resource,))
        elif isinstance(need, Grant):
            resources = (f"user-pool:{names.user_pool}" if name == USER_POOL else name for name in need.resources)
            yield GrantSpec(service.name, need.actions, tuple(resources))
