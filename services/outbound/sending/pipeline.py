"""From a queued message to a recorded outcome. The claim is the last write before the call, each send is recorded, and whoever
cannot claim does not send.

    known? -> decide -> render -> cap, budget -> gate (breaker, bulkhead, pair rate, rate) -> wait for the slot
           -> claim -> decide once more -> send, once -> record -> publish

An event that arrives twice finds the row and follows it; see :mod:`services.outbound.ledger.transitions` for the
transitions of a row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from libs.common.clock import random_id
from libs.common.declare.event import Event
from libs.common.errors import RetryLater
from libs.common.handle.context import Context
from libs.common.stable_hash import jitter_for
from libs.messaging.events.messages import MessageQueued
from libs.messaging.events.outbound import SendAgainDecided
from libs.messaging.permission import Permission
from libs.messaging.settings import MessagingSettings
from libs.messaging.vocabulary import Status
from services.outbound.contract import NotSent, Outcome, Probes, Request, Unknown, client_of
from services.outbound.ledger import transitions
from services.outbound.ledger.model import Delivery, fresh
from services.outbound.ledger.writes import follow, record, take, write
from services.outbound.limits.claim_lead import ClaimLead
from services.outbound.limits.gate import Gates, SendPermit, SendRequest
from services.outbound.limits.marketing import SendLater
from services.outbound.limits.rates import Limits, LimitsFromProvider
from services.outbound.sending.decision import Refused, still_allowed
from services.outbound.sending.job_control import stop_reason
from services.outbound.sending.outcomes import was_answered
from services.outbound.sending.preparation import Preparation
from services.outbound.settings import OutboundSettings

#: Kept free at the end of a claim, so that an outcome can still be written before others call it uncertain.
RECORD_TIMEOUT_SECONDS = 3.0
PROBE_TIMEOUT_SECONDS = 5.0
#: How long before its slot a message is claimed, at least and at most.
MIN_LEAD_SECONDS, MAX_LEAD_SECONDS = 0.03, 0.6
#: How long a message waits before it looks whether its job goes on.
PAUSED_RETRY = timedelta(seconds=5)
#: When a message that was not claimed after all comes again.
NOT_CLAIMED_RETRY = timedelta(seconds=1)

log = structlog.get_logger()


class Pipeline:
    """The sender of one channel."""

    def __init__(self, preparation: Preparation, limits: Limits | LimitsFromProvider) -> None:
        self.channel = preparation.channel
        self.preparation = preparation
        self.gates = Gates(self.channel.name, limits, self._probe if isinstance(self.channel, Probes) else None)
        self._owner = random_id()
        self._lead = ClaimLead(MIN_LEAD_SECONDS, MAX_LEAD_SECONDS)

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
        stop = await stop_reason(row.queued.job_id, 0, ctx) if row.queued.job_id else None
        if stop == "cancelled":
            return await write(row, transitions.cancelled(row, ctx.now), ctx)
        if stop == "paused":
            raise RetryLater(ctx.now + PAUSED_RETRY, "its job is paused")
        return await self._attempt(row, row.queued, ctx)

    async def _attempt(self, row: Delivery | None, event: MessageQueued, ctx: Context) -> Sequence[Event]:
        before = transitions.ordered(row or fresh(event, ctx.now), event)
        try:
            prepared = await self.preparation.prepared(event, ctx)
        except SendLater as later:
            return await write(row, transitions.put_off(before, later.why, later.until, ctx.now), ctx)
        except Refused as refused:
            return await write(row, transitions.refused(before, refused.why, ctx.now), ctx)
        before = before.model_copy(update={"full_until": prepared.full_until})
        sender, units = prepared.sender, self.channel.units(prepared.request)
        gate = await self.gates.of(sender, ctx)
        request = SendRequest(event.message_id, prepared.outgoing.to, units, event.message_class)
        async with gate.admit(request, ctx, self._lead.seconds) as permit:
            if ctx.settings.of(OutboundSettings).send_mode == "DRY_RUN":
                return await write(row, transitions.dry_run(before, sender, ctx.now), ctx)
            client = await client_of(self.channel, sender, ctx)
            # First the slot, then the claim and a last look at the permission, then the call at once: a kill makes uncertain what
            # is under way and nothing that only waits, and an opt-out that comes in while it waits is heard.
            not_now = await permit.wait(ctx, ahead=self._lead.seconds)
            if not_now is not None:
                raise RetryLater(ctx.now + NOT_CLAIMED_RETRY, not_now.cause)
            claim = self.claim(before, event, sender, prepared.permission, permit.waited, ctx)
            began = ctx.now
            # Nothing is sent before the claim, and nothing if it does not succeed.
            elsewhere = await take(row, claim, ctx)
            if elsewhere is not None:
                return elsewhere
            ended = await self.stopped(claim, event, ctx)
            self._lead.measured((ctx.now - began).total_seconds())
            if ended is None:
                ended = await self.send(claim, prepared.request, client, permit, ctx)
            return await record(claim, ended, ctx)

    async def stopped(self, claim: Delivery, event: MessageQueued, ctx: Context) -> Delivery | None:
        """How a claim ends that may not be sent after all; None: it may. A STOP that was applied before this look wins; one
        that is applied later finds the message already claimed."""
        try:
            await still_allowed(event, ctx)
        except Refused as refused:
            return transitions.refused(claim, refused.why, ctx.now)
        except Exception as error:
            return self._not_started(claim, error, ctx)
        return None

    async def send(
        self, claim: Delivery, request: Request, client: object, permit: SendPermit, ctx: Context
    ) -> Delivery:
        """How a claim that may be sent ends: at its slot, by the one call."""
        try:
            not_now = await permit.wait(ctx)
        except Exception as error:
            return self._not_started(claim, error, ctx)
        if not_now is not None:
            return self._ended(claim, not_now, ctx)
        return await self._call(claim, request, client, permit, ctx)

    def _not_started(self, claim: Delivery, error: Exception, ctx: Context) -> Delivery:
        """Fixed here, because only its worker can know that nothing went out."""
        log.warning("not sent", message=claim.message_id, error=type(error).__name__)
        return self._ended(claim, NotSent(f"stopped before the call: {type(error).__name__}"), ctx)

    async def _call(
        self, claim: Delivery, request: Request, client: object, permit: SendPermit, ctx: Context
    ) -> Delivery:
        """The one call. It is over, or given up as unknown, before the claim is."""
        outcome: Outcome
        left = transitions.seconds_left(claim, ctx.now) - RECORD_TIMEOUT_SECONDS
        if left <= 0:
            return self._ended(claim, NotSent("the claim ran out before the call"), ctx)
        try:
            async with asyncio.timeout(left):
                outcome = await self.channel.send(request, client)
        except Exception as error:
            outcome = Unknown(f"no outcome: {type(error).__name__}")
        permit.note(outcome, ctx)
        return self._ended(claim, outcome, ctx)

    def _ended(self, claim: Delivery, outcome: Outcome, ctx: Context) -> Delivery:
        jitter = jitter_for(f"{claim.message_id}{claim.attempt}")
        scale = ctx.settings.of(MessagingSettings).window_scale
        ended = transitions.with_outcome(claim, outcome, ctx.now, jitter, scale)
        log.info("send", message=claim.message_id, attempt=claim.attempt, status=ended.status, code=ended.error_code)
        return ended

    def claim(
        self, before: Delivery, event: MessageQueued, sender: str, permission: Permission, waited: float, ctx: Context
    ) -> Delivery:
        notes = [
            f"attempt {before.attempt + 1}: permission {permission.revision}, consent {permission.consent_id or 'none'}"
        ]
        if waited >= 1:
            notes.append(f"waited {waited:.1f} s for the sender's rate")
        return transitions.claimed(
            before.model_copy(update={"notes": (*before.notes, *notes)}),
            event,
            owner=self._owner,
            claim_id=random_id(),
            sender=sender,
            deadline=ctx.now + timedelta(seconds=ctx.settings.of(OutboundSettings).claim_seconds),
            now=ctx.now,
        )
