"""Event handlers of ``templates``: notices of the provider, and versions to submit. Both use the ledger."""

from __future__ import annotations

from typing import Any

from libs.common.declare.event import Event
from libs.common.handle.context import Context
from libs.messaging.events.inbound import AccountNoticed
from libs.messaging.events.templates import SubmissionAsked, TemplateChanged
from libs.messaging.templates import TemplateStatus, template_id_of
from services.templates import provider
from services.templates.changes import changed
from services.templates.model import AccountState, Catalogue, Template, TemplateVersion, settled

_TEMPLATE_FIELDS = frozenset({"template_status", "template_category", "quality"})


async def note_account(event: AccountNoticed, ctx: Context) -> list[Event]:
    """Applies a notice at once and schedules a reading of the list: notices arrive in any order, the list is
    authoritative."""
    value = event.details.get("value")
    if event.kind not in _TEMPLATE_FIELDS or not isinstance(value, dict):
        return []
    name, language = value.get("message_template_name"), value.get("message_template_language")
    if not isinstance(name, str) or not isinstance(language, str):
        return []
    await _read_soon(ctx)
    template = await ctx.get(Template, template_id_of(provider.CHANNEL, name, language))
    if template is None or event.account is None:
        return []
    known = template.accounts.get(event.account) or AccountState(status=TemplateStatus.PENDING)
    after = settled(
        template.model_copy(
            update={"accounts": {**template.accounts, event.account: _account_after(known, event.kind, value)}}
        )
    )
    return [] if after == template else [await changed(ctx, template, after)]


def _account_after(known: AccountState, kind: str, value: dict[str, Any]) -> AccountState:
    if kind == "template_category":
        # With ``correct_category`` the change is only announced for the next day.
        return known.model_copy(update={"category": value.get("new_category") or known.category})
    if kind == "quality":
        return known.model_copy(update={"quality": value.get("new_quality_score") or known.quality})
    status = provider.STATUSES.get(str(value.get("event")))
    if status is None:
        return known
    meta_id = str(value["message_template_id"]) if value.get("message_template_id") else known.meta_id
    return known.model_copy(update={"status": status, "reason": _reason(value), "meta_id": meta_id})


def _reason(value: dict[str, Any]) -> str | None:
    """Joins Meta's reason and its further details."""
    parts = [value.get("reason")]
    for member, names in (("rejection_info", ("reason", "recommendation")), ("other_info", ("title", "description"))):
        more = value.get(member)
        if isinstance(more, dict):
            parts += [more.get(name) for name in names]
    reported = [part for part in parts if isinstance(part, str) and part != "NONE"]
    return "; ".join(reported)[:500] or None


async def submit(event: SubmissionAsked, ctx: Context) -> list[Event]:
    """Submits the version to the provider. A refusal is final, with the provider's reason; a transient error leads to a
    retry of the event."""
    template = await ctx.get(Template, event.template_id)
    if template is None or template.submitting != event.number:
        return []
    version = await ctx.get(TemplateVersion, event.template_id, TemplateVersion.place_of(event.number))
    linked = await provider.accounts(ctx)
    account = next((each for each in linked if event.account in (None, each.id, each.meta_id)), None)
    if account is None or version is None:
        refused = AccountState(status=TemplateStatus.REJECTED, reason="No such WhatsApp business account is linked.")
        return [await _submitted(ctx, template, event, event.account or "", refused)]
    try:
        state = await provider.submitted(ctx, account, template, version)
    except provider.Refused as refusal:
        state = AccountState(status=TemplateStatus.REJECTED, reason=refusal.message or refusal.code)
    return [await _submitted(ctx, template, event, account.meta_id, state)]


async def _submitted(
    ctx: Context, template: Template, event: SubmissionAsked, account: str, state: AccountState
) -> TemplateChanged:
    await _read_soon(ctx)
    accounts = {**template.accounts, account: state}
    after = template.model_copy(update={"accounts": accounts, "live": event.number, "submitting": None})
    return await changed(ctx, template, settled(after))


async def _read_soon(ctx: Context) -> None:
    book = await ctx.get(Catalogue, provider.CHANNEL)
    if book is not None and book.due > ctx.now:
        ctx.stage(ctx.replace(book.model_copy(update={"due": ctx.now})))
