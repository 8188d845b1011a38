"""The gate before a send: breaker, bulkhead, pair rate, rate. One per sender and process; what all workers must agree on
is in rows (see :mod:`services.outbound.rates`), the rest is this process's own experience with the provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from weakref import WeakKeyDictionary

from libs.common.context import Context
from libs.common.errors import Later
from libs.common.spread import luck_of, shard_for
from libs.common.store.ops import Store
from libs.messaging.errors import ErrorCode
from libs.messaging.words import MessageClass
from services.outbound.breaker import PROBE_SECONDS, Breaker, Bulkhead
from services.outbound.channel import Accepted, NotSent, Outcome, Rejected
from services.outbound.rates import HORIZON, LATE, PACE, PATIENCE, AskedLimits, Busy, Grid, Limits, Line, take_pair

#: Whoever finds the house full comes back within this many seconds.
FULL_SECONDS = 2.0
SILENT = "the provider does not answer"
#: The line that all senders of an account stand in, where the limit is the account's.
ACCOUNT = "account"


@dataclass(frozen=True)
class Visit:
    """What the gate must know of a message."""

    message_id: str
    to: str
    units: int
    message_class: MessageClass

    def luck(self, salt: str) -> float:
        """In [0, 1), spread over messages; not drawn, so that a rerun of a story is the same story."""
        return luck_of(f"{self.message_id}{salt}")


class Pass:
    """Leave to send at ``at`` (seconds since 1970)."""

    def __init__(self, gate: Gate, visit: Visit, at: float, waited: float, probe: bool) -> None:
        self._gate = gate
        self._visit = visit
        self._probe = probe
        self.at = at
        self.waited = waited

    async def ready(self, ctx: Context) -> NotSent | None:
        """Wait for the moment; if it was missed (a slow store) take another one. None: go; else why not."""
        if ctx.now.timestamp() > self.at + LATE:
            try:
                self.at = await self._gate.slot(self._visit, ctx, lead=0.0)
            except Busy:
                return NotSent("no place within the sender's rate", code=ErrorCode.THROTTLED)
        pause = self.at - ctx.now.timestamp()
        if pause > 0:
            await ctx.clock.sleep(pause)
        if self._gate.breaker.open and not self._probe:
            # It opened while this one waited; who only waits must not become uncertain as well.
            return NotSent(SILENT)
        return None

    def note(self, outcome: Outcome, ctx: Context) -> None:
        """Tell the breaker. A provider that asks us to slow down is well."""
        throttled = isinstance(outcome, NotSent) and outcome.code is ErrorCode.THROTTLED
        answered = isinstance(outcome, Accepted | Rejected) or throttled
        self._gate.breaker.note(answered, ctx.now.timestamp())


class Gate:
    """The gate of one sender."""

    def __init__(self, sender: str, limits: Limits, ctx: Context, before: Gate | None = None) -> None:
        """``before`` is the gate by the limits of before: what was learnt of the provider stays."""
        self.breaker: Breaker = before.breaker if before else Breaker(limits.failures)
        self.bulkhead: Bulkhead = before.bulkhead if before else Bulkhead(limits.in_flight)
        #: Where chunks stand in line for places.
        self.line: asyncio.Lock = before.line if before else asyncio.Lock()
        self._sender = sender
        self.limits = limits
        rate = limits.per_second * PACE
        self._lines = [
            Line(f"sender#{sender}#{shard}", Grid(rate, shard, limits.shards), ctx.clock)
            for shard in range(limits.shards)
        ]
        self._probes = Line(f"probe#{sender}", Grid(1 / PROBE_SECONDS), ctx.clock)

    @asynccontextmanager
    async def admit(self, visit: Visit, ctx: Context) -> AsyncIterator[Pass]:
        """Through, with a place that is kept until the end of the block. Raises Later; a store that is down raises what it
        raises, and then nothing is sent."""
        began = ctx.now.timestamp()
        probe = await self._past_breaker(visit, ctx)
        if not self.bulkhead.enter(visit.message_class is MessageClass.BULK):
            raise self._later(FULL_SECONDS * (0.5 + visit.luck(str(began))), "too many sends in flight", ctx)
        try:
            await self._past_pair(visit, ctx)
            try:
                at = await self.slot(visit, ctx)
            except Busy as busy:
                pause = busy.seconds * (0.5 + visit.luck(str(began)))
                raise self._later(pause, "waiting for the sender's rate", ctx) from None
            yield Pass(self, visit, at, ctx.now.timestamp() - began, probe)
        finally:
            self.bulkhead.leave()

    async def slot(self, visit: Visit, ctx: Context, lead: float | None = None) -> float:
        """A moment at which the message may go out. Raises Busy."""
        line = self._lines[shard_for(visit.message_id, len(self._lines))]
        horizon = HORIZON[visit.message_class]
        if lead is None:
            return await line.take(visit.units, horizon, ctx)
        return await line.take(visit.units, horizon, ctx, lead)

    async def _past_breaker(self, visit: Visit, ctx: Context) -> bool:
        """Whether it is a probe."""
        if not self.breaker.open:
            return False
        now = ctx.now.timestamp()
        pause = self.breaker.pause(now, visit.luck(str(now)))
        if not self.breaker.admits(now):
            raise self._later(pause, SILENT, ctx)
        try:
            # All workers share the probes.
            await self._probes.take(1, PROBE_SECONDS, ctx)
        except Busy:
            raise self._later(pause, SILENT, ctx) from None
        return True

    async def _past_pair(self, visit: Visit, ctx: Context) -> None:
        if not self.limits.pair_seconds:
            return
        key = f"pair#{self._sender}#{visit.to}"
        until = await take_pair(key, self.limits, ctx)
        if until is not None and until - ctx.now < timedelta(seconds=PATIENCE):
            await ctx.clock.sleep((until - ctx.now).total_seconds())
            until = await take_pair(key, self.limits, ctx)
        if until is not None:
            raise Later(until, "waiting for the rate of this pair")

    @staticmethod
    def _later(seconds: float, why: str, ctx: Context) -> Later:
        return Later(ctx.now + timedelta(seconds=seconds), why)


class Gates:
    """The gates of a channel, by sender; a process has one store, a test one for each world."""

    def __init__(self, channel: str, limits: Limits | AskedLimits) -> None:
        self._channel = channel
        self._limits = limits
        self._gates: WeakKeyDictionary[Store, dict[str, Gate]] = WeakKeyDictionary()

    async def of(self, sender: str, ctx: Context) -> Gate:
        """The gate of a sender, by the limits of now. Raises Later."""
        limits = self._limits if isinstance(self._limits, Limits) else await self._limits(ctx)
        limits = limits.of(ctx.settings.senders_of(self._channel).identity(sender))
        mine = self._gates.setdefault(ctx.store, {})
        key = ACCOUNT if limits.shared else sender
        known = mine.get(key)
        if known is None or known.limits != limits:
            mine[key] = Gate(key, limits, ctx, known)
        return mine[key]
