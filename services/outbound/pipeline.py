"""From a queued message to a recorded outcome. The claim comes last, each send is recorded, and whoever cannot claim does
not send.

    known? -> permission, template, quiet hours -> render -> cap, budget -> gate (breaker, places, pair, rate) -> wait for the slot
           -> claim -> permission once more -> send, once -> record -> say

Whatever arrives twice finds the row and follows it; see :mod:`services.outbound.steps` for the steps of a row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import structlog

from libs.common.clock import drawn_id
from libs.common.context import Context
from libs.common.errors import Later
from libs.common.event import Event
from libs.common.settings import Settings
from libs.common.spread import luck_of
from libs.messaging import template_copy as templates
from libs.messaging.checks import Asked, Refusal, refusal
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageQueued
from libs.messaging.events.outbound import SendAgainDecided
from libs.messaging.permission import LOOK_AGAIN, Permission, Standing
from libs.messaging.setting_copy import in_force
from libs.messaging.templates import purpose_of
from libs.messaging.words import Purpose, Status
from services.outbound import steps
from services.outbound.channel import (
    Account,
    Channel,
    Invalid,
    NotSent,
    Outcome,
    Outgoing,
    Probes,
    Request,
    Unknown,
    client_of,
)
from services.outbound.files import with_ready_files
from services.outbound.gate import Gates, Pass, Visit
from services.outbound.jobs import word
from services.outbound.ledger import follow, record, take, write
from services.outbound.marketing import PutOff, take_places, waits_for_morning
from services.outbound.model import Delivery, fresh
from services.outbound.outcomes import was_answered
from services.outbound.portfolios import Portfolios
from services.outbound.rates import AskedLimits, Limits
from services.outbound.ready import MAY_LAG, Ready, Refused, behind

#: Kept free at the end of a claim, so that an outcome can still be written before others call it uncertain.
RECORD_SECONDS = 3.0
PROBE_TIMEOUT_SECONDS = 5.0
#: How long before its slot a message is claimed: what the claim and a last look at the permission take.
CLAIM_AHEAD_SECONDS = 0.03
#: How long a message waits before it looks whether its job goes on.
PAUSED = timedelta(seconds=5)
#: When a message that was not claimed after all comes again.
NOT_CLAIMED = timedelta(seconds=1)
#: Fetches what a channel's pure ``render`` needs besides (a file, a signed link) into the account. Raises Invalid.
Prepare = Callable[[Outgoing, Account, Context], Awaitable[Account]]

log = structlog.get_logger()


class Pipeline:
    """The sender of one channel. ``senders`` lists the identities that may send, by the settings; the first is the default."""

    def __init__(
        self,
        channel: Channel,
        limits: Limits | AskedLimits,
        senders: Callable[[Settings], Sequence[str]],
        prepare: Prepare | None = None,
        portfolios: Portfolios | None = None,
    ) -> None:
        self.channel = channel
        self._portfolios = portfolios
        self._prepare = prepare
        self.gates = Gates(channel.name, limits, self._probe if isinstance(channel, Probes) else None)
        self._senders = senders
        self._owner = drawn_id()

    async def _probe(self, sender: str, ctx: Context) -> bool:
        assert isinstance(self.channel, Probes)
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                await self.channel.probe(await client_of(self.channel, sender, ctx))
        except Exception as error:
            return was_answered(error)
        return True

    async def queued(self, event: MessageQueued, ctx: Context) -> Sequence[Event]:
        """A message wants to be sent: the first time it is, after that its row tells."""
        row = await ctx.get(Delivery, event.message_id)
        if row is None or steps.may_claim(row, event):
            return await self._attempt(row, event, ctx)
        return await follow(row, ctx)

    async def again(self, event: SendAgainDecided, ctx: Context) -> Sequence[Event]:
        """A further attempt was decided; it is made if the row still stands where it stood then."""
        row = await ctx.get(Delivery, event.message_id)
        if row is None:
            return ()
        if row.queued is None or row.status is not Status.DEFERRED or row.attempt != event.attempt - 1:
            return await follow(row, ctx)
        if row.not_before is not None and ctx.now < row.not_before:
            raise Later(row.not_before, "waiting to try again")
        said = await word(row.queued.job_id, 0, ctx) if row.queued.job_id else None
        if said == "cancelled":
            return await write(row, steps.cancelled(row, ctx.now), ctx)
        if said == "paused":
            raise Later(ctx.now + PAUSED, "its job is paused")
        return await self._attempt(row, row.queued, ctx)

    async def _attempt(self, row: Delivery | None, event: MessageQueued, ctx: Context) -> Sequence[Event]:
        before = steps.ordered(row or fresh(event, ctx.now), event)
        try:
            standing, outgoing, request, sender, full_until = await self.prepared(event, ctx)
        except PutOff as later:
            return await write(row, steps.put_off(before, later.why, later.until, ctx.now), ctx)
        except Refused as refused:
            return await write(row, steps.refused(before, refused.why, ctx.now), ctx)
        before = before.model_copy(update={"full_until": full_until})
        visit = Visit(event.message_id, outgoing.to, self.channel.units(request), event.message_class)
        gate = await self.gates.of(sender, ctx)
        async with gate.admit(visit, ctx) as leave:
            if ctx.settings.send_mode == "DRY_RUN":
                return await write(row, steps.rehearsed(before, sender, ctx.now), ctx)
            client = await client_of(self.channel, sender, ctx)
            # First the slot, then the claim and a last look at the permission, then the call at once: a kill makes uncertain what
            # is under way and nothing that only waits, and an opt-out that comes in while it waits is heard.
            not_now = await leave.ready(ctx, ahead=CLAIM_AHEAD_SECONDS)
            if not_now is not None:
                raise Later(ctx.now + NOT_CLAIMED, not_now.cause)
            claim = self.claim(before, event, sender, standing, leave.waited, ctx)
            # Nothing is sent before the claim, and nothing if it does not succeed.
            elsewhere = await take(row, claim, ctx)
            if elsewhere is not None:
                return elsewhere
            ended = await self._stopped(claim, event, leave, ctx)
            if ended is None:
                ended = await self.call(claim, request, client, leave, ctx)
            return await record(claim, ended, ctx)

    async def _stopped(self, claim: Delivery, event: MessageQueued, leave: Pass, ctx: Context) -> Delivery | None:
        """What keeps a claimed message from being sent after all. A STOP that was applied before this read wins; one that
        is applied later finds the message already claimed."""
        try:
            await self.permitted(event, ctx, lag=False)
            not_now = await leave.ready(ctx)
        except Refused as refused:
            return steps.refused(claim, refused.why, ctx.now)
        except Exception as error:
            # Mended here, because only here it is certain that nothing went out.
            log.warning("not sent", message=claim.message_id, error=type(error).__name__)
            return self.concluded(claim, NotSent(f"stopped before the call: {type(error).__name__}"), ctx)
        return self.concluded(claim, not_now, ctx) if not_now else None

    async def call(self, claim: Delivery, request: Request, client: object, leave: Pass, ctx: Context) -> Delivery:
        """The one call. It is over, or given up as unknown, before the claim is."""
        outcome: Outcome
        left = steps.seconds_left(claim, ctx.now) - RECORD_SECONDS
        if left <= 0:
            return self.concluded(claim, NotSent("the claim ran out before the call"), ctx)
        try:
            async with asyncio.timeout(left):
                outcome = await self.channel.send(request, client)
        except Exception as error:
            outcome = Unknown(f"no outcome: {type(error).__name__}")
        leave.note(outcome, ctx)
        return self.concluded(claim, outcome, ctx)

    def concluded(self, claim: Delivery, outcome: Outcome, ctx: Context) -> Delivery:
        luck = luck_of(f"{claim.message_id}{claim.attempt}")
        ended = steps.concluded(claim, outcome, ctx.now, luck, ctx.settings.window_scale)
        log.info("send", message=claim.message_id, attempt=claim.attempt, status=ended.status, code=ended.error_code)
        return ended

    async def prepared(self, event: MessageQueued, ctx: Context) -> Ready:
        """Allowed, rendered, and counted where the day is limited. Raises Refused, PutOff and Later."""
        standing = await self.permitted(event, ctx)
        outgoing, request, sender = await self._rendered(event, standing, ctx)
        full_until = await self._placed(event, standing, sender, ctx)
        return Ready(standing, outgoing, request, sender, full_until)

    async def permitted(self, event: MessageQueued, ctx: Context, lag: bool = True) -> Standing:
        """Our copy of the permission, if it and the template allow the message. Raises Refused; with ``lag``, which is before
        the claim, also PutOff, and Later while a copy may lag behind."""
        copy = await ctx.get(Permission, Permission.id_of(event.contact_id, event.channel))
        standing = copy.standing if copy else None
        template = await templates.known(event.content, event.channel, ctx)
        purpose = purpose_of(template, event.purpose)
        why = refusal(standing, Asked(event.channel, purpose, event.content, event.expires_at), ctx.now)
        why = why or await templates.why_not(event.content, template, event.channel, ctx)
        if why is None and standing is not None:
            night = waits_for_morning(purpose, standing, ctx.now, await in_force(ctx)) if lag else None
            if isinstance(night, PutOff):
                raise night
            if night is None:
                return standing
            why = night
        why = why or Refusal(ErrorCode.CONTACT_ERASED)
        if lag and why.code in MAY_LAG and ctx.now < event.queued_at + behind(why, standing, event):
            raise Later(ctx.now + LOOK_AGAIN, f"refused for now ({why.code}); the permission may not have arrived yet")
        raise Refused(why)

    def sender(self, named: str | None, ctx: Context) -> str | None:
        """Who sends: the one that is named, else the first that may."""
        return named or next(iter(self._senders(ctx.settings)), None)

    async def _placed(self, event: MessageQueued, standing: Standing, sender: str, ctx: Context) -> datetime | None:
        """Count it where the day is limited; a dry run counts nowhere. Raises PutOff."""
        if ctx.settings.send_mode != "LIVE":
            return None
        template = await templates.known(event.content, event.channel, ctx)
        budget = self._portfolios.of(sender, ctx.settings) if self._portfolios else None
        return await take_places(event, purpose_of(template, event.purpose), standing, budget, ctx)

    async def _rendered(self, event: MessageQueued, standing: Standing, ctx: Context) -> tuple[Outgoing, Request, str]:
        template = await templates.known(event.content, event.channel, ctx)
        content = templates.written_out(event.content, template, event.channel)
        if isinstance(content, Refusal):
            raise Refused(content)
        allowed = self._senders(ctx.settings)
        sender = self.sender(event.sender, ctx)
        if sender is None:
            raise Refused(Refusal(ErrorCode.MISCONFIGURED, "No sender is named, and none is set."))
        # Whoever wrote STOP to a number of ours is answered from there, whatever else may send.
        if allowed and sender not in allowed and event.purpose is not Purpose.COMPLIANCE:
            raise Refused(Refusal(ErrorCode.SENDER_NOT_ALLOWED))
        outgoing = Outgoing(
            event.message_id,
            standing.address or "",
            content,
            event.message_class,
            event.purpose,
            event.in_reply_to,
            max(0, int((event.expires_at - ctx.now).total_seconds())),
            event.contact_id,
            event.job_id,
        )
        account = Account(sender, ctx.settings.senders_of(self.channel.name).parameters_of(sender))
        try:
            outgoing = await with_ready_files(outgoing, event, sender, self.channel, ctx)
            if self._prepare is not None:
                account = await self._prepare(outgoing, account, ctx)
            return outgoing, self.channel.render(outgoing, account), sender
        except Invalid as invalid:
            raise Refused(Refusal(invalid.code, invalid.detail)) from None

    def claim(
        self, before: Delivery, event: MessageQueued, sender: str, standing: Standing, waited: float, ctx: Context
    ) -> Delivery:
        notes = [
            f"attempt {before.attempt + 1}: permission {standing.revision}, consent {standing.consent_id or 'none'}"
        ]
        if waited >= 1:
            notes.append(f"waited {waited:.1f} s for the sender's rate")
        return steps.claimed(
            before.model_copy(update={"notes": (*before.notes, *notes)}),
            event,
            owner=self._owner,
            claim_id=drawn_id(),
            sender=sender,
            deadline=ctx.now + timedelta(seconds=ctx.settings.claim_seconds),
            now=ctx.now,
        )
