"""The gate before a send: circuit breaker, bulkhead, pair rate, rate. One per sender and process. What all workers must agree
on is in rows (see :mod:`services.outbound.limits.rates`); breaker and bulkhead are this process's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from weakref import WeakKeyDictionary

from libs.common.errors import RetryLater
from libs.common.handle.context import Context
from libs.common.stable_hash import jitter_for, shard_for
from libs.common.store.ops import Store
from libs.messaging.channels import Channel
from libs.messaging.errors import ErrorCode
from libs.messaging.settings import MessagingSettings
from libs.messaging.vocabulary import MessageClass
from services.outbound.contract import Accepted, NotSent, Outcome, Rejected
from services.outbound.limits.circuit_breaker import PROBE_INTERVAL_SECONDS, Bulkhead, CircuitBreaker
from services.outbound.limits.rates import (
    HORIZON_SECONDS,
    LEAD_SECONDS,
    MAX_LATE_SECONDS,
    MAX_WAIT_SECONDS,
    PACE_FACTOR,
    Limits,
    LimitsFromProvider,
    NoSlot,
    SlotGrid,
    SlotLease,
    take_pair,
)

#: A message that finds the bulkhead full is retried within this many seconds.
FULL_RETRY_SECONDS = 2.0
PROVIDER_SILENT = "the provider does not answer"
#: A process that misses this many slots in a row is too busy to send now.
MAX_SLOTS = 4

#: A harmless read of the provider, by sender: whether it answers.
Probe = Callable[[str, Context], Awaitable[bool]]
#: Classes whose uncertain sends are resent (see :mod:`libs.messaging.policy`).
RESENDABLE = frozenset(
    each for each in MessageClass if any(channel.traits.policies[each].resends for channel in Channel)
)
#: The key of the gate that all senders of an account share, where the limit is the account's.
ACCOUNT = "account"


@dataclass(frozen=True)
class SendRequest:
    """What the gate needs to know of a message."""

    message_id: str
    to: str
    units: int
    message_class: MessageClass

    def jitter(self, salt: str) -> float:
        """In [0, 1), derived from the message id, so that a rerun gives the same number."""
        return jitter_for(f"{self.message_id}{salt}")


class SendPermit:
    """Permission of the gate to send at ``at`` (seconds since 1970)."""

    def __init__(self, gate: Gate, send_request: SendRequest, at: float, waited: float, probe: bool) -> None:
        self._gate = gate
        self._send_request = send_request
        self._probe = probe
        self.at = at
        self.waited = waited

    async def wait(self, ctx: Context, ahead: float = 0.0) -> NotSent | None:
        """Waits until ``ahead`` seconds before the slot. A slot that was missed (a slow store, a suspended process) is
        discarded and another one is taken. Returns None if the message may be sent, else why not."""
        for _ in range(MAX_SLOTS):
            if ctx.now.timestamp() > self.at - ahead + MAX_LATE_SECONDS:
                try:
                    self.at = await self._gate.slot(self._send_request, ctx, lead=ahead)
                except NoSlot:
                    break
            pause = self.at - ahead - ctx.now.timestamp()
            if pause > 0:
                await ctx.clock.sleep(pause)
            if self._gate.breaker.open and not self._probe:
                # It opened while this message waited; a message that only waits must not become uncertain.
                return NotSent(PROVIDER_SILENT)
            if ctx.now.timestamp() <= self.at - ahead + MAX_LATE_SECONDS:
                return None
        return NotSent("no place within the sender's rate", code=ErrorCode.THROTTLED)

    def note(self, outcome: Outcome, ctx: Context) -> None:
        """Records the outcome in the breaker. A provider that throttles has answered."""
        throttled = isinstance(outcome, NotSent) and outcome.code is ErrorCode.THROTTLED
        answered = isinstance(outcome, Accepted | Rejected) or throttled
        self._gate.breaker.note(answered, ctx.now.timestamp())


class Gate:
    """The gate of one sender."""

    def __init__(
        self, sender: str, limits: Limits, ctx: Context, before: Gate | None = None, probe: Probe | None = None
    ) -> None:
        """``before`` is the gate under the previous limits: its breaker and bulkhead are kept."""
        self._probe = probe
        self._probing = asyncio.Lock()
        self.breaker: CircuitBreaker = before.breaker if before else CircuitBreaker(limits.failures)
        self.bulkhead: Bulkhead = before.bulkhead if before else Bulkhead(limits.in_flight)
        #: Chunks take slots of the bulkhead one after the other.
        self.line: asyncio.Lock = before.line if before else asyncio.Lock()
        self._sender = sender
        self.limits = limits
        rate = limits.per_second * PACE_FACTOR
        self._lines = [
            SlotLease(f"sender#{sender}#{shard}", SlotGrid(rate, shard, limits.shards), ctx.clock)
            for shard in range(limits.shards)
        ]
        self._probes = SlotLease(f"probe#{sender}", SlotGrid(1 / PROBE_INTERVAL_SECONDS), ctx.clock)

    @asynccontextmanager
    async def admit(self, send_request: SendRequest, ctx: Context, lead: float = 0.0) -> AsyncIterator[SendPermit]:
        """Admits a message, with a slot of the bulkhead until the end of the block and a time at least ``lead`` seconds ahead. Raises RetryLater; if the store is down,
        raises what the store raises, and nothing is sent."""
        began = ctx.now.timestamp()
        probe = await self._past_breaker(send_request, ctx)
        if not self.bulkhead.acquire(send_request.message_class is MessageClass.BULK):
            raise self._later(
                FULL_RETRY_SECONDS * (0.5 + send_request.jitter(str(began))), "too many sends in flight", ctx
            )
        try:
            await self._past_pair(send_request, ctx)
            try:
                at = await self.slot(send_request, ctx, lead + LEAD_SECONDS)
            except NoSlot as busy:
                pause = busy.seconds * (0.5 + send_request.jitter(str(began)))
                raise self._later(pause, "waiting for the sender's rate", ctx) from None
            yield SendPermit(self, send_request, at, ctx.now.timestamp() - began, probe)
        finally:
            self.bulkhead.release()

    async def slot(self, send_request: SendRequest, ctx: Context, lead: float = LEAD_SECONDS) -> float:
        """The time at which the message may be sent. Raises NoSlot."""
        line = self._lines[shard_for(send_request.message_id, len(self._lines))]
        horizon = HORIZON_SECONDS[send_request.message_class]
        return await line.take(send_request.units, horizon, ctx, lead)

    async def may_send(self, ctx: Context) -> bool:
        """Whether messages may be sent to the provider. While that is doubtful, one probe decides for all waiting messages, so
        that no message is risked to find out."""
        if not self.breaker.doubtful:
            return True
        if self._probe is None:
            return not self.breaker.open
        async with self._probing:
            if not self.breaker.doubtful:
                return True
            if self.breaker.open and not await self._may_probe(ctx):
                return False
            answered = await self._probe(self._sender, ctx)
            self.breaker.probed(answered, ctx.now.timestamp())
            return answered

    async def _may_probe(self, ctx: Context) -> bool:
        """Probes are made at the breaker's interval, and all workers share them."""
        if not self.breaker.admits(ctx.now.timestamp()):
            return False
        try:
            await self._probes.take(1, PROBE_INTERVAL_SECONDS, ctx)
        except NoSlot:
            return False
        return True

    async def may_spend(self, message_class: MessageClass, ctx: Context) -> bool:
        """Whether a message may itself be the probe: only if the channel has no probe, and then a message that may be resent
        or, after a long outage, any."""
        if self._probe is not None:
            return False
        spendable = message_class in RESENDABLE or self.breaker.waited_long(ctx.now.timestamp())
        return spendable and await self._may_probe(ctx)

    async def _past_breaker(self, send_request: SendRequest, ctx: Context) -> bool:
        """Whether the message itself is the probe. Raises RetryLater."""
        if await self.may_send(ctx):
            return False
        if await self.may_spend(send_request.message_class, ctx):
            return True
        now = ctx.now.timestamp()
        raise self._later(self.breaker.pause(now, send_request.jitter(str(now))), PROVIDER_SILENT, ctx)

    async def _past_pair(self, send_request: SendRequest, ctx: Context) -> None:
        if not self.limits.pair_seconds:
            return
        key = f"pair#{self._sender}#{send_request.to}"
        until = await take_pair(key, self.limits, ctx)
        if until is not None and until - ctx.now < timedelta(seconds=MAX_WAIT_SECONDS):
            await ctx.clock.sleep((until - ctx.now).total_seconds())
            until = await take_pair(key, self.limits, ctx)
        if until is not None:
            raise RetryLater(until, "waiting for the rate of this pair")

    @staticmethod
    def _later(seconds: float, why: str, ctx: Context) -> RetryLater:
        return RetryLater(ctx.now + timedelta(seconds=seconds), why)


class Gates:
    """The gates of a channel, by sender and store (a process has one store, a test one for each world)."""

    def __init__(self, channel: str, limits: Limits | LimitsFromProvider, probe: Probe | None = None) -> None:
        self._channel = channel
        self._probe = probe
        self._limits = limits
        self._gates: WeakKeyDictionary[Store, dict[str, Gate]] = WeakKeyDictionary()

    async def of(self, sender: str, ctx: Context) -> Gate:
        """The gate of a sender under its current limits. Raises RetryLater."""
        limits = self._limits if isinstance(self._limits, Limits) else await self._limits(ctx)
        limits = limits.of(ctx.settings.of(MessagingSettings).senders_of(self._channel).identity(sender))
        mine = self._gates.setdefault(ctx.store, {})
        key = ACCOUNT if limits.shared else sender
        known = mine.get(key)
        if known is None or known.limits != limits:
            mine[key] = Gate(key, limits, ctx, known, self._probe)
        return mine[key]
