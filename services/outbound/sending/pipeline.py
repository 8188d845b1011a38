"""From a queued message to a recorded outcome. The claim comes last, each send is recorded, and whoever cannot claim does
not send.

    known? -> permission, template, quiet hours -> render -> cap, budget -> gate (breaker, places, pair, rate) -> wait for the slot
           -> claim -> permission once more -> send, once -> record -> say

Whatever arrives twice finds the row and follows it; see :mod:`services.outbound.ledger.transitions` for the steps of a row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import structlog

from libs.common.clock import random_id
from libs.common.declare.event import Event
from libs.common.errors import RetryLater
from libs.common.handle.context import Context
from libs.common.settings import Settings
from libs.common.stable_hash import jitter_for
from libs.messaging import template_copy as templates
from libs.messaging.checks import Refusal, SendFacts, refusal
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageQueued
from libs.messaging.events.outbound import SendAgainDecided
from libs.messaging.permission import RECHECK_INTERVAL, Permission, PermissionCopy
from libs.messaging.setting_copy import in_force
from libs.messaging.templates import purpose_of
from libs.messaging.vocabulary import Purpose, Status
from services.outbound.contract import (
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
from services.outbound.ledger import transitions
from services.outbound.ledger.model import Delivery, fresh
from services.outbound.ledger.writes import follow, record, take, write
from services.outbound.limits.gate import Gates, SendPermit, SendRequest
from services.outbound.limits.marketing import SendLater, quiet_hours_refusal, reserve_capacity
from services.outbound.limits.portfolios import Portfolios
from services.outbound.limits.rates import Limits, LimitsFromProvider
from services.outbound.sending.files import with_prepared_files
from services.outbound.sending.job_control import stop_reason
from services.outbound.sending.outcomes import was_answered
from services.outbound.sending.readiness import MAY_LAG, Ready, Refused, behind

#: Kept free at the end of a claim, so that an outcome can still be written before others call it uncertain.
RECORD_TIMEOUT_SECONDS = 3.0
PROBE_TIMEOUT_SECONDS = 5.0
#: How long before its slot a message is claimed: what the claim and a last look at the permission take.
CLAIM_AHEAD_SECONDS = 0.03
#: How long a message waits before it looks whether its job goes on.
PAUSED_RETRY = timedelta(seconds=5)
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
        limits: Limits | LimitsFromProvider,
        senders: Callable[[Settings], Sequence[str]],
        prepare: Prepare | None = None,
        portfolios: Portfolios | None = None,
    ) -> None:
        self.channel = channel
        self._portfolios = portfolios
        self._prepare = prepare
        self.gates = Gates(channel.name, limits, self._probe if isinstance(channel, Probes) else None)
        self._senders = senders
        self._owner = random_id()

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
        if row is None or transitions.may_claim(row, event):
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
            raise RetryLater(row.not_before, "waiting to try again")
        events = await stop_reason(row.queued.job_id, 0, ctx) if row.queued.job_id else None
        if events == "cancelled":
            return await write(row, transitions.cancelled(row, ctx.now), ctx)
        if events == "paused":
            raise RetryLater(ctx.now + PAUSED_RETRY, "its job is paused")
        return await self._attempt(row, row.queued, ctx)

    async def _attempt(self, row: Delivery | None, event: MessageQueued, ctx: Context) -> Sequence[Event]:
        before = transitions.ordered(row or fresh(event, ctx.now), event)
        try:
            standing, outgoing, request, sender, full_until = await self.prepared(event, ctx)
        except SendLater as later:
            return await write(row, transitions.put_off(before, later.why, later.until, ctx.now), ctx)
        except Refused as refused:
            return await write(row, transitions.refused(before, refused.why, ctx.now), ctx)
        before = before.model_copy(update={"full_until": full_until})
        send_request = SendRequest(event.message_id, outgoing.to, self.channel.units(request), event.message_class)
        gate = await self.gates.of(sender, ctx)
        async with gate.admit(send_request, ctx) as permit:
            if ctx.settings.send_mode == "DRY_RUN":
                return await write(row, transitions.dry_run(before, sender, ctx.now), ctx)
            client = await client_of(self.channel, sender, ctx)
            # First the slot, then the claim and a last look at the permission, then the call at once: a kill makes uncertain what
            # is under way and nothing that only waits, and an opt-out that comes in while it waits is heard.
            not_now = await permit.wait(ctx, ahead=CLAIM_AHEAD_SECONDS)
            if not_now is not None:
                raise RetryLater(ctx.now + NOT_CLAIMED, not_now.cause)
            claim = self.claim(before, event, sender, standing, permit.waited, ctx)
            # Nothing is sent before the claim, and nothing if it does not succeed.
            elsewhere = await take(row, claim, ctx)
            if elsewhere is not None:
                return elsewhere
            ended = await self._stopped(claim, event, permit, ctx)
            if ended is None:
                ended = await self.call(claim, request, client, permit, ctx)
            return await record(claim, ended, ctx)

    async def _stopped(
        self, claim: Delivery, event: MessageQueued, permit: SendPermit, ctx: Context
    ) -> Delivery | None:
        """What keeps a claimed message from being sent after all. A STOP that was applied before this read wins; one that
        is applied later finds the message already claimed."""
        try:
            await self.permitted(event, ctx, lag=False)
            not_now = await permit.wait(ctx)
        except Refused as refused:
            return transitions.refused(claim, refused.why, ctx.now)
        except Exception as error:
            # Fixed here, because only here it is certain that nothing went out.
            log.warning("not sent", message=claim.message_id, error=type(error).__name__)
            return self.concluded(claim, NotSent(f"stopped before the call: {type(error).__name__}"), ctx)
        return self.concluded(claim, not_now, ctx) if not_now else None

    async def call(
        self, claim: Delivery, request: Request, client: object, permit: SendPermit, ctx: Context
    ) -> Delivery:
        """The one call. It is over, or given up as unknown, before the claim is."""
        outcome: Outcome
        left = transitions.seconds_left(claim, ctx.now) - RECORD_TIMEOUT_SECONDS
        if left <= 0:
            return self.concluded(claim, NotSent("the claim ran out before the call"), ctx)
        try:
            async with asyncio.timeout(left):
                outcome = await self.channel.send(request, client)
        except Exception as error:
            outcome = Unknown(f"no outcome: {type(error).__name__}")
        permit.note(outcome, ctx)
        return self.concluded(claim, outcome, ctx)

    def concluded(self, claim: Delivery, outcome: Outcome, ctx: Context) -> Delivery:
        jitter = jitter_for(f"{claim.message_id}{claim.attempt}")
        ended = transitions.with_outcome(claim, outcome, ctx.now, jitter, ctx.settings.window_scale)
        log.info("send", message=claim.message_id, attempt=claim.attempt, status=ended.status, code=ended.error_code)
        return ended

    async def prepared(self, event: MessageQueued, ctx: Context) -> Ready:
        """Allowed, rendered, and counted where the day is limited. Raises Refused, PutOff and Later."""
        standing = await self.permitted(event, ctx)
        outgoing, request, sender = await self._rendered(event, standing, ctx)
        full_until = await self._placed(event, standing, sender, ctx)
        return Ready(standing, outgoing, request, sender, full_until)

    async def permitted(self, event: MessageQueued, ctx: Context, lag: bool = True) -> Permission:
        """Our copy of the permission, if it and the template allow the message. Raises Refused; with ``lag``, which is before
        the claim, also PutOff, and Later while a copy may lag behind."""
        copy = await ctx.get(PermissionCopy, PermissionCopy.id_of(event.contact_id, event.channel))
        standing = copy.standing if copy else None
        template = await templates.known(event.content, event.channel, ctx)
        purpose = purpose_of(template, event.purpose)
        why = refusal(standing, SendFacts(event.channel, purpose, event.content, event.expires_at), ctx.now)
        why = why or await templates.why_not(event.content, template, event.channel, ctx)
        if why is None and standing is not None:
            night = quiet_hours_refusal(purpose, standing, ctx.now, await in_force(ctx)) if lag else None
            if isinstance(night, SendLater):
                raise night
            if night is None:
                return standing
            why = night
        why = why or Refusal(ErrorCode.CONTACT_ERASED)
        if lag and why.code in MAY_LAG and ctx.now < event.queued_at + behind(why, standing, event):
            raise RetryLater(
                ctx.now + RECHECK_INTERVAL, f"refused for now ({why.code}); the permission may not have arrived yet"
            )
        raise Refused(why)

    def sender(self, named: str | None, ctx: Context) -> str | None:
        """Who sends: the one that is named, else the first that may."""
        return named or next(iter(self._senders(ctx.settings)), None)

    async def _placed(self, event: MessageQueued, standing: Permission, sender: str, ctx: Context) -> datetime | None:
        """Count it where the day is limited; a dry run counts nowhere. Raises PutOff."""
        if ctx.settings.send_mode != "LIVE":
            return None
        template = await templates.known(event.content, event.channel, ctx)
        budget = self._portfolios.of(sender, ctx.settings) if self._portfolios else None
        return await reserve_capacity(event, purpose_of(template, event.purpose), standing, budget, ctx)

    async def _rendered(
        self, event: MessageQueued, standing: Permission, ctx: Context
    ) -> tuple[Outgoing, Request, str]:
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
            outgoing = await with_prepared_files(outgoing, event, sender, self.channel, ctx)
            if self._prepare is not None:
                account = await self._prepare(outgoing, account, ctx)
            return outgoing, self.channel.render(outgoing, account), sender
        except Invalid as invalid:
            raise Refused(Refusal(invalid.code, invalid.detail)) from None

    def claim(
        self, before: Delivery, event: MessageQueued, sender: str, standing: Permission, waited: float, ctx: Context
    ) -> Delivery:
        notes = [
            f"attempt {before.attempt + 1}: permission {standing.revision}, consent {standing.consent_id or 'none'}"
        ]
        if waited >= 1:
            notes.append(f"waited {waited:.1f} s for the sender's rate")
        return transitions.claimed(
            before.model_copy(update={"notes": (*before.notes, *notes)}),
            event,
            owner=self._owner,
            claim_id=random_id(),
            sender=sender,
            deadline=ctx.now + timedelta(seconds=ctx.settings.claim_seconds),
            now=ctx.now,
        )
