"""Handles an event so that redeliveries have no further effect.

*By condition*: the handler's writes are conditional, and its events have derived ids. *By ledger*: its staged writes and
its events are one transaction with one ledger row; a redelivery finds the row and publishes the same events again.
Requests and ticks have no redelivery, so their ledger row is also the outbox (:mod:`libs.common.handle.outbox`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from libs.common.bus.base import DeadLetter, Record
from libs.common.bus.encoding import Unpublishable
from libs.common.declare.event import Cause, Envelope, Event, following, root_cause
from libs.common.declare.ledger import LedgerEntry
from libs.common.declare.request_events import RequestFacts
from libs.common.declare.service import Every, Feed, Handler, On, Service, TickAction
from libs.common.errors import Conflict, Problem, RetryLater
from libs.common.handle.context import Context, Done
from libs.common.handle.copy import wait_for_copies
from libs.common.handle.feeds import translated
from libs.common.handle.outbox import commit, entry_of, publish_outbox
from libs.common.handle.oversized_field import too_large
from libs.common.handle.runtime import Runtime
from libs.common.isolated import MAX_WAIT_SECONDS, NoSlot
from libs.common.observe.log import describe
from libs.common.store.ops import RowRefused

#: How often a handler is retried on fresh rows before the event is redelivered.
MAX_TRIES = 6

#: A request's function: ``async def f(…, ctx) -> Done``.
RequestHandler = Callable[..., Awaitable[Done[Any]]]

log = structlog.get_logger()


@dataclass(frozen=True)
class Requester:
    """The caller, the key (the client's Idempotency-Key or a random one), a digest of the request, and its recordable
    facts."""

    actor: str
    key: str
    fingerprint: str
    facts: RequestFacts


async def deliver(runtime: Runtime, service: Service, on: On, envelope: Envelope) -> None:
    """Run one handler for one event, commit, publish what follows. Raises what the handler raises."""
    cause = envelope.as_cause()
    context = runtime.context(service, cause)
    if on.ledger:
        events = await _by_ledger(context, on, envelope)
    else:
        events = await _by_condition(context, on.handler, envelope.data, cause)
    if events:
        await runtime.bus.publish(events)


async def _by_condition(context: Context, handler: Handler, heard: object, cause: Cause) -> list[Envelope]:
    for _ in range(MAX_TRIES):
        try:
            facts = await handler(heard, context)
        except Conflict:
            continue
        if context.staged:
            raise RuntimeError(f"{handler.__name__} stages writes but is not declared with ledger=True")
        return _stamp(context, cause, facts or ())
    raise Conflict(f"{handler.__name__} kept meeting other writers")


async def _by_ledger(context: Context, on: On, envelope: Envelope) -> list[Envelope]:
    key = f"{on.handler.__name__}#{envelope.id}"
    for _ in range(MAX_TRIES):
        entry = await context.get(LedgerEntry, key)
        if entry is not None:
            return [Envelope.from_wire(wire) for wire in entry.said]
        context.staged.clear()
        try:
            events = _stamp(context, envelope.as_cause(), await on.handler(envelope.data, context) or ())
        except Conflict:
            continue
        if not context.staged and not events:
            return []
        if await commit(context, entry_of(context, key, events)):
            return events
    raise Conflict(f"{on.handler.__name__} kept meeting other writers")


async def run_tick(
    runtime: Runtime, service: Service, every: Every, stopped: Callable[[], bool] = lambda: False
) -> int:
    """Run a schedule; returns the number of tick actions that took effect. Once ``stopped``, no further action."""
    done = 0
    context = runtime.context(service)
    steps = every.tick(context)
    try:
        async for action in steps:
            done += await _run_action(runtime, service, every.label(), action)
            if stopped():
                break
    finally:
        if isinstance(steps, AsyncGenerator):
            await steps.aclose()
    return done


async def _run_action(runtime: Runtime, service: Service, name: str, action: TickAction) -> bool:
    cause = root_cause(service.name, name, action.key, actor=f"system:{service.name}")
    context = runtime.context(service, cause)
    events = _stamp(context, cause, action.events)
    try:
        entry = entry_of(context, f"{name}#{action.key}", events, pending=True)
        if not await commit(context, entry, action.writes):
            return False
    except (Unpublishable, RowRefused) as error:
        log.error("a step can never be stored or published; left out", tick=name, step=action.key, why=describe(error))
        return False
    await publish_outbox(runtime, context, entry, events)
    return True


async def apply_request(
    runtime: Runtime, service: Service, handler: RequestHandler, request: dict[str, Any], who: Requester
) -> dict[str, Any] | None:
    """Handle a request exactly once per key and return its answer (JSON; None for no body). A repeat with the same key gets
    the same answer; another request under a used key is refused. A refusal by a lagging copy is given only after the copy had
    time to arrive. Also publishes ``requests.handled``. Raises Problem."""
    return await wait_for_copies(runtime, partial(_apply, runtime, service, handler, request, who))


async def _apply(
    runtime: Runtime, service: Service, handler: RequestHandler, request: dict[str, Any], who: Requester, fresh: bool
) -> dict[str, Any] | None:
    name = handler.__name__
    cause = root_cause("http", who.actor, name, who.key, actor=who.actor)
    context = runtime.context(service, cause, fresh=fresh)
    key = f"http#{who.actor}#{name}#{who.key}"
    for _ in range(MAX_TRIES):
        entry = await context.get(LedgerEntry, key)
        if entry is not None:
            if entry.fingerprint != who.fingerprint:
                raise Problem(422, "IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used for another request")
            return entry.answer
        context.staged.clear()
        try:
            done: Done[Any] = await handler(**request, ctx=context)
        except Conflict:
            continue
        except RowRefused as error:
            raise too_large(request, error) from None
        events = _stamp(context, cause, done.events)
        # In the same ledger row: the audit event exists exactly if the change does.
        events += _stamp(context, cause, [who.facts.handled(done, events, service.name, context.now)])
        answer = (
            done.value.model_dump(mode="json", by_alias=True, exclude_none=True) if done.value is not None else None
        )
        try:
            entry = entry_of(context, key, events, pending=True, fingerprint=who.fingerprint, answer=answer)
            committed = await commit(context, entry)
        except (Unpublishable, RowRefused) as error:
            raise too_large(request, error) from None
        if committed:
            await publish_outbox(runtime, context, entry, events)
            return answer
    raise Problem(409, "CONFLICT", "Others are changing the same thing; try again")


async def deliver_feed(runtime: Runtime, service: Service, feed: Feed, record: Record) -> None:
    """Translate a provider's message and publish its events. Ids derive from the provider's ids, so a duplicate
    message yields the same events. Raises Malformed (then none of its events is published)."""
    context = runtime.context(service)
    try:
        pairs = await translated(feed, record.body, record.sent_at or context.now)
    except NoSlot as busy:
        raise RetryLater(context.now + timedelta(seconds=MAX_WAIT_SECONDS), str(busy)) from None
    await publish_keyed(runtime, context, feed.name, pairs)


async def publish_keyed(runtime: Runtime, context: Context, feed: str, pairs: Sequence[tuple[str, Event]]) -> None:
    """Publish the events of a provider's message, ``[(key, event)]``. Returns once all of them are durable."""
    events: list[Envelope] = []
    for key, event in pairs:
        events += _stamp(context, root_cause(feed, key, actor="provider"), [event])
    if events:
        await runtime.bus.publish(events)


async def deliver_dead_letter(runtime: Runtime, service: Service, dead_letter: DeadLetter, key: str) -> None:
    """Hand a dead letter to its handler. ``key`` identifies redeliveries of the same dead letter. Raises what the handler raises."""
    handler = service.hears_dead_letters
    assert handler is not None
    cause = root_cause("letter", key, actor=f"system:{service.name}")
    if dead_letter.correlation_id:
        cause = replace(cause, correlation_id=dead_letter.correlation_id)
    events = await _by_condition(runtime.context(service, cause), handler, dead_letter, cause)
    if events:
        await runtime.bus.publish(events)


def _stamp(context: Context, cause: Cause, facts: Iterable[Event]) -> list[Envelope]:
    facts = list(facts)
    for fact in facts:
        if type(fact) not in context.service.says and type(fact) not in context.service.facts():
            raise RuntimeError(f"{context.service.name} says {fact.TYPE} without declaring it")
        if context.service.counts is not None:
            context.service.counts(fact)
    return following(cause, facts, source=context.service.name, now=context.now)
