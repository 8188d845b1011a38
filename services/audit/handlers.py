"""Event handlers: record each event once for any number of deliveries, since the entry's id is derived from the
event's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from libs.common.clock import derived_id, iso
from libs.common.declare.request_events import RequestHandled, RequestRefused
from libs.common.handle.context import Context
from libs.common.observe.log import redact
from libs.messaging.events.bulk import JobChanged
from libs.messaging.events.contacts import ConsentChanged
from libs.messaging.events.dlq import LetterDecided
from libs.messaging.events.identity import UserChanged, UserRemoved
from libs.messaging.events.templates import TemplateChanged
from libs.messaging.templates import TemplateStatus
from services.audit.model import AuditLog, Kind

#: A template with such a status is not sent, by the provider's decision.
STOPPED = (TemplateStatus.PAUSED, TemplateStatus.REJECTED, TemplateStatus.DISABLED, TemplateStatus.DELETED)


async def request_handled(event: RequestHandled, ctx: Context) -> None:
    """Records a request that made a change."""
    facts = event.model_dump(
        include={"service", "action", "role", "method", "route", "resource", "key_digest", "before", "after"}
    )
    more = {"parameters": event.parameters or None, "facts": list(event.facts) or None}
    # A key used again after its ledger row has expired is another request with the same event id.
    log_id = derived_id("request", ctx.required_cause.id, iso(event.at))
    await _keep(ctx, "request", event.at, log_id, **facts, **more, more_facts=event.more_facts or None)


async def request_refused(event: RequestRefused, ctx: Context) -> None:
    """Records a request that the caller's role does not permit."""
    facts = event.model_dump(include={"service", "action", "role", "needs", "method", "route", "resource"})
    more = {"parameters": event.parameters or None, "unsaid": event.unsaid or None}
    await _keep(ctx, "refusal", event.at, ctx.required_cause.id, **facts, **more)


async def consent_changed(event: ConsentChanged, ctx: Context) -> None:
    """Records a consent change by keyword, link or provider; one by a request is in the request's own entry."""
    if not ctx.required_cause.of_a_request:
        after = {"channel": event.channel, "optedIn": event.opted_in, "how": event.how, "evidence": event.evidence_id}
        await _fact(ctx, "contacts.consent_changed", event.contact_id, event.at, after)


async def job_changed(event: JobChanged, ctx: Context) -> None:
    """Records that a job was paused by an auto-pause rule, or could not be planned."""
    if event.state in ("paused", "rejected") and not ctx.required_cause.of_a_request:
        await _fact(ctx, f"bulk.job_{event.state}", event.job_id, event.at, {"state": event.state, "why": event.why})


async def letter_decided(event: LetterDecided, ctx: Context) -> None:
    """Records that a dead letter was quarantined."""
    if event.decision == "quarantined":
        after = {"decision": event.decision, "why": event.why, "queue": event.queue, "eventType": event.event_type}
        await _fact(ctx, "dlq-replay.letter_quarantined", event.dlq_message_id, event.at, after)


async def template_changed(event: TemplateChanged, ctx: Context) -> None:
    """Records that the provider stopped a template."""
    state = event.state
    if state.status in STOPPED and not ctx.required_cause.of_a_request:
        after = {"status": state.status, "reason": state.reason, "revision": state.revision}
        await _fact(ctx, f"templates.template_{state.status}", event.template_id, ctx.now, after)


async def user_changed(event: UserChanged, ctx: Context) -> None:
    """Records a user who was added or changed in the user pool outside the platform."""
    if not ctx.required_cause.actor.startswith("user:"):
        before = {"roleBefore": event.role_before, "statusBefore": event.status_before}
        after = {"role": event.role, "status": event.status, **before}
        await _fact(ctx, "identity.user_changed", event.user_id, ctx.now, after)


async def user_removed(event: UserRemoved, ctx: Context) -> None:
    """Records a user who was removed from the user pool outside the platform."""
    if not ctx.required_cause.actor.startswith("user:"):
        await _fact(ctx, "identity.user_removed", event.user_id, ctx.now, {"roleBefore": event.role_before})


async def _fact(ctx: Context, action: str, resource: str, at: datetime, after: dict[str, Any]) -> None:
    # A reason is free text of a user.
    entry_facts = {
        name: redact(value) if isinstance(value, str) else value for name, value in after.items() if value is not None
    }
    service, actor = action.partition(".")[0], ctx.required_cause.actor
    if actor.startswith("user:"):
        # A user's request was the original cause, but did not request this change; the correlation id refers to it.
        actor = f"system:{service}"
    facts = {"service": service, "action": action, "resource": resource, "after": entry_facts}
    await _keep(ctx, "fact", at, ctx.required_cause.id, actor=actor, **facts)


async def _keep(ctx: Context, kind: Kind, at: datetime, log_id: str, **facts: Any) -> None:
    cause = ctx.required_cause
    entry_facts = {"actor": cause.actor, "correlation_id": cause.correlation_id, **facts}
    await ctx.write(ctx.insert(AuditLog.of(log_id, at, kind=kind, **entry_facts)))
