"""Reads the provider's list: soon after the start, then every few minutes, and on request or after a notice.

The first reading publishes every template. The first later reading without changes publishes that the list is complete.
The delay between the two is long enough for other services to receive all templates, so that none is considered missing
because it is late.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from libs.common.declare.service import TickAction
from libs.common.handle.context import Context
from libs.common.store.ops import Op
from libs.messaging.events.templates import TemplateChanged, TemplatesListed
from libs.messaging.templates import TemplateStatus, template_id_of
from services.templates import provider
from services.templates.model import (
    LISTED,
    AccountState,
    Catalogue,
    Json,
    Template,
    TemplateVersion,
    settled,
    state_of,
)
from services.templates.provider import Account
from services.templates.settings import TemplatesSettings

#: Interval of the check whether a reading is due.
CHECK_SECONDS = 5
#: Delay after a reading with changes.
RESYNC_DELAY = timedelta(seconds=20)
#: Maximum age of a definition: an edit at the provider without a notice is found by then.
MAX_DEFINITION_AGE = timedelta(hours=12)
#: A list may lag behind a template that was just created.
MAX_LIST_LAG = timedelta(minutes=10)

log = structlog.get_logger()


@dataclass(frozen=True)
class Seen:
    """One template in one account, as listed."""

    account: Account
    summary: Json

    @property
    def key(self) -> str:
        return template_id_of(provider.CHANNEL, self.summary["templateName"], self.summary["templateLanguage"])

    def state(self, known: AccountState | None) -> AccountState:
        status = provider.STATUSES.get(self.summary["templateStatus"])
        # An unknown status changes nothing; a template that is not stored yet is then pending.
        status = status or (known.status if known else TemplateStatus.PENDING)
        return AccountState(
            status=status,
            meta_id=self.summary["metaTemplateId"],
            category=self.summary.get("templateCategory"),
            quality=self.summary.get("templateQualityScore"),
            # A list has no reasons; the reason of a notice is kept while the status is unchanged.
            reason=known.reason if known and known.status is status else None,
        )


async def sync(ctx: Context) -> AsyncIterator[TickAction]:
    """Yields one action for each changed template, and one for the list."""
    book = await _turn(ctx)
    if book is None:
        return
    try:
        seen = [
            Seen(account, each)
            for account in await provider.accounts(ctx)
            for each in await provider.listed(ctx, account)
        ]
    except Exception as error:
        log.warning("the provider's templates could not be listed", error=type(error).__name__)
        return
    found: dict[str, list[Seen]] = {}
    for each in seen:
        found.setdefault(each.key, []).append(each)
    changed = False
    listed = ctx.query_all(Template, LISTED, index="by-listing", prefix=f"{provider.CHANNEL}:", limit=100)
    for template in [template async for template in listed]:
        async for step in _renewed(ctx, template, found.pop(template.template_id, []), book.again):
            changed = True
            yield step
    for key, there in found.items():
        changed = True
        async for step in _renewed(ctx, _new(ctx, key, there[0]), there, False):
            yield step
    yield _read(ctx, book, changed)


async def _turn(ctx: Context) -> Catalogue | None:
    """Returns the catalogue if a reading is due and this worker claimed it: the worker that moves the due time reads
    the list."""
    book = await ctx.get(Catalogue, provider.CHANNEL)
    if book is not None and ctx.now < book.due:
        return None
    after = (book or Catalogue(id=provider.CHANNEL, due=ctx.now)).model_copy(update={"due": ctx.now + RESYNC_DELAY})
    if not await ctx.write(ctx.upsert(after, book)):
        return None
    return after.model_copy(update={"version": book.version + 1}) if book else after


def _read(ctx: Context, book: Catalogue, changed: bool) -> TickAction:
    """Records the reading. Written only if no other reading was requested meanwhile."""
    quiet = timedelta(seconds=ctx.settings.of(TemplatesSettings).template_sync_seconds)
    after = book.model_copy(
        update={
            "read_at": ctx.now,
            "changed": changed,
            "again": False,
            "due": ctx.now + (RESYNC_DELAY if changed else quiet),
        }
    )
    complete = () if changed or book.read_at is None else (TemplatesListed(channel=provider.CHANNEL, at=ctx.now),)
    return TickAction(f"read#{book.version}", (ctx.replace(after),), complete)


def _new(ctx: Context, key: str, seen: Seen) -> Template:
    return Template(
        template_id=key,
        channel=provider.CHANNEL,
        name=seen.summary["templateName"],
        language=seen.summary["templateLanguage"],
        category=seen.summary.get("templateCategory") or "UTILITY",
        created_by="provider",
        created_at=ctx.now,
        updated_at=ctx.now,
    )


async def _renewed(ctx: Context, template: Template, there: list[Seen], again: bool) -> AsyncIterator[TickAction]:
    accounts = {each.account.meta_id: each.state(template.accounts.get(each.account.meta_id)) for each in there}
    for account in template.accounts.keys() - accounts.keys():
        accounts[account] = _gone(template.accounts[account], template.updated_at, ctx.now)
    after = settled(template.model_copy(update={"accounts": accounts}))
    writes: list[Op] = []
    if there and _is_stale(template, after, ctx.now):
        after, writes = await _defined(ctx, after, there[0].account)
    if after == template:
        if again:
            yield TickAction(
                f"again#{template.template_id}#{template.version}#{ctx.now.isoformat()}",
                (),
                (await _said(ctx, template),),
            )
        return
    after = after.model_copy(update={"updated_at": ctx.now, "version": template.version + 1})
    row = ctx.replace(after.model_copy(update={"version": template.version})) if template.version else ctx.insert(after)
    version = _version_in(writes) or await live_version(ctx, after)
    events = TemplateChanged(template_id=after.template_id, channel=provider.CHANNEL, state=state_of(after, version))
    yield TickAction(f"{after.template_id}#{after.version}", (row, *writes), (events,))


def _gone(known: AccountState, since: datetime, now: datetime) -> AccountState:
    """Returns the state in an account that no longer lists the template. A template that was refused there was never
    listed, and one that was just submitted may not be listed yet."""
    if known.meta_id is None or (known.status is TemplateStatus.PENDING and now < since + MAX_LIST_LAG):
        return known
    return known.model_copy(update={"status": TemplateStatus.DELETED, "reason": None})


def _is_stale(template: Template, after: Template, now: datetime) -> bool:
    return (
        template.read_at is None or after.status is not template.status or now > template.read_at + MAX_DEFINITION_AGE
    )


async def _defined(ctx: Context, template: Template, account: Account) -> tuple[Template, list[Op]]:
    """Returns the template with the provider's definition as its live version: a new version if the live one
    differs."""
    try:
        whole = await provider.read(ctx, account, template.name, template.language)
    except Exception as error:
        log.warning("a template could not be read", template=template.template_id, error=type(error).__name__)
        return template, []
    read = TemplateVersion(
        template_id=template.template_id,
        place=TemplateVersion.place_of(template.latest + 1),
        number=template.latest + 1,
        components=whole.get("components") or [],
        parameter_format=whole.get("parameter_format") or "POSITIONAL",
        created_by="provider",
        created_at=ctx.now,
    )
    template = template.model_copy(update={"read_at": ctx.now})
    live = await live_version(ctx, template)
    if live is not None and live.says_the_same(read):
        return template, []
    return template.model_copy(update={"latest": read.number, "live": read.number}), [ctx.insert(read)]


def _version_in(writes: list[Op]) -> TemplateVersion | None:
    return next((TemplateVersion.from_row(each.row) for each in writes if hasattr(each, "row")), None)


async def live_version(ctx: Context, template: Template) -> TemplateVersion | None:
    if template.live is None:
        return None
    return await ctx.get(TemplateVersion, template.template_id, TemplateVersion.place_of(template.live))


async def _said(ctx: Context, template: Template) -> TemplateChanged:
    state = state_of(template, await live_version(ctx, template))
    return TemplateChanged(template_id=template.template_id, channel=template.channel, state=state)
