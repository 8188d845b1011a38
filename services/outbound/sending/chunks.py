"""Sends a chunk of a bulk job, in groups that share their calls. The steps are those of a single message (see
:mod:`services.outbound.sending.pipeline`), each made for the whole group at once, so that 25 share a write and 100 a read:

    known? -> bulkhead -> job stopped? -> decide, render -> slots -> wait for the slots of a window -> job stopped? -> claim
           -> decide once more -> send, once each -> record -> publish

A chunk stays in a worker for a few seconds at most; the recipients that are left are released again, so that a pause is quick
and other jobs get their turn. There is no pair rate: a job writes to each address once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from libs.common.declare.event import Event
from libs.common.errors import RetryLater
from libs.common.handle.context import Context
from libs.common.store.ops import Store
from libs.messaging.events.bulk import Addressee, ChunkReleased
from libs.messaging.personalization import personal
from libs.messaging.rendering import Unfit
from libs.messaging.vocabulary import MessageClass
from services.outbound.contract import client_of
from services.outbound.ledger import transitions
from services.outbound.ledger.model import Delivery, fresh
from services.outbound.ledger.writes import take, write
from services.outbound.limits.claim_lead import ClaimLead
from services.outbound.limits.gate import Gate, SendPermit, SendRequest
from services.outbound.limits.marketing import SendLater
from services.outbound.limits.rates import NoSlot, SlotGrid, SlotLease
from services.outbound.sending.chunk_ends import as_is, followed, queued, recorded, together
from services.outbound.sending.chunk_run import Candidate, ChunkRun, Why, by_window
from services.outbound.sending.decision import Refused
from services.outbound.sending.job_control import stop_reason
from services.outbound.sending.pipeline import Pipeline
from services.outbound.settings import OutboundSettings

#: Recipients that take the same step together: 25 of them share a call for claims, and for records.
GROUP_MESSAGES = 100
#: After this long no further group is started.
MAX_TURN_SECONDS = 5.0
#: A slot is reserved as far ahead as claims and the second decision take, which is measured; at least, at most (s). OTPs take
#: slots behind those that are reserved, so never further ahead than an OTP may wait; a group that is later takes new slots.
MIN_LEAD_SECONDS, MAX_LEAD_SECONDS = 0.15, 0.6
#: While the bulkhead is full: how often it is checked (s), and how many free slots are enough for a group.
RECHECK_SECONDS = 0.02
MIN_SLOTS = 50


class Chunks:
    """The bulk side of one channel's pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._lead = ClaimLead(MIN_LEAD_SECONDS, MAX_LEAD_SECONDS)
        #: By store and job: the slots of a job that is slower than its sender.
        self._lines: WeakKeyDictionary[Store, dict[tuple[str, float], SlotLease]] = WeakKeyDictionary()

    async def released(self, event: ChunkReleased, ctx: Context) -> Sequence[Event]:
        """Sends the recipients that have no row yet; publishes the events of the others again."""
        run = ChunkRun(event, ctx.now, [])
        rows = await asyncio.gather(*(ctx.get(Delivery, who.message_id) for who in event.addressees))
        fresh_ones = [who for who, row in zip(event.addressees, rows, strict=True) if row is None]
        run.events += await together(followed(row, ctx) for row in rows if row is not None)
        run.left = fresh_ones
        while run.left:
            async with self._bulkhead_slots(run, ctx) as (permits, gate):
                # Checked once there are slots, so that a pause holds for a group that waited for them.
                why: Why | None = await stop_reason(event.job_id, event.revision, ctx)
                if why is None and (ctx.now - run.began).total_seconds() >= MAX_TURN_SECONDS:
                    why = "turn"
                if why is None and run.not_before is not None:
                    why = "wait"
                if why is not None:
                    return [*run.events, run.ended(why, ctx)]
                await self._group(run, permits, gate, ctx)
        return [*run.events, run.ended("done", ctx)]

    @asynccontextmanager
    async def _bulkhead_slots(self, run: ChunkRun, ctx: Context) -> AsyncIterator[tuple[int, Gate | None]]:
        """Places at the provider for the next up to a hundred, in the order in which chunks came. They come first: what is
        made ready before a full house has to be made ready again."""
        size = await self._paced(run, ctx)
        sender = self._pipeline.preparation.sender(run.event.sender, ctx)
        if sender is None:
            yield size, None  # rendering says what is wrong
            return
        gate = await self._pipeline.gates.of(sender, ctx)
        wanted, permits = min(size, len(run.left)), 0
        if not await gate.may_send(ctx):
            # One of a job goes as a probe only where nothing else can find out.
            wanted = 1 if await gate.may_spend(MessageClass.BULK, ctx) else 0
        spent = gate.breaker.open and bool(wanted)
        async with gate.line:
            while (
                wanted and (spent or not gate.breaker.open) and (ctx.now - run.began).total_seconds() < MAX_TURN_SECONDS
            ):
                permits = gate.bulkhead.acquire_many(wanted, MIN_SLOTS)
                if permits:
                    break
                await ctx.clock.sleep(RECHECK_SECONDS)
        try:
            if gate.breaker.open and not spent:
                # A chunk comes back when there is something to hope for.
                run.not_before = ctx.now + timedelta(seconds=gate.breaker.pause(ctx.now.timestamp(), 0.5))
            yield permits, gate
        finally:
            gate.bulkhead.release(permits)

    async def _group(self, run: ChunkRun, size: int, gate: Gate | None, ctx: Context) -> None:
        """The next ``size``. Those that may not go yet stay in ``run.left``, with the time in ``run.not_before``."""
        group, run.left = run.left[:size], run.left[size:]
        fits: list[Candidate] = []
        back: list[Addressee] = []
        prepared = await asyncio.gather(*(self._prepared(run, who, ctx) for who in group))
        for who, each in zip(group, prepared, strict=True):
            if isinstance(each, Candidate):
                fits.append(each)
            elif isinstance(each, datetime):
                back.append(who)
                run.not_before = min(run.not_before or each, each)
            else:
                run.events += each
        if fits and ctx.settings.of(OutboundSettings).send_mode == "DRY_RUN":
            run.first_at = run.first_at or ctx.now
            rehearsed = (write(None, transitions.dry_run(one.row, one.sender, ctx.now), ctx) for one in fits)
            run.events += await together(rehearsed)
        elif fits and gate is not None:
            back += await self._through_gate(run, gate, fits, ctx)
        run.left = [*back, *run.left]

    async def _prepared(self, run: ChunkRun, who: Addressee, ctx: Context) -> Candidate | Sequence[Event] | datetime:
        """Allowed and rendered; or refused and said; or the time at which it may be."""
        event = queued(run.event, who)
        one = Candidate(who, event, fresh(event, ctx.now))
        try:
            one.event = event.model_copy(update={"content": personal(event.content, who.variables)})
            one.row = one.row.model_copy(update={"queued": one.event})
            ready = await self._pipeline.preparation.prepared(one.event, ctx)
            one.request, one.sender = ready.request, ready.sender
            one.row = one.row.model_copy(update={"full_until": ready.full_until})
            one.claim = self._pipeline.claim(one.row, one.event, one.sender, ready.permission, 0.0, ctx)
        except RetryLater as later:
            return later.until
        except SendLater as wait:
            # Each goes its own way from here: one whose night it is does not hold up the others.
            return await write(None, transitions.put_off(one.row, wait.why, wait.until, ctx.now), ctx)
        except Unfit as unfit:
            return await write(None, transitions.refused(one.row, unfit.refusal, ctx.now), ctx)
        except Refused as refused:
            return await write(None, transitions.refused(one.row, refused.why, ctx.now), ctx)
        return one

    async def _through_gate(self, run: ChunkRun, gate: Gate, fits: list[Candidate], ctx: Context) -> list[Addressee]:
        """Slots for as many as get one; the rest come back."""
        slots = await asyncio.gather(*(self._slot(gate, one, ctx) for one in fits), return_exceptions=True)
        turned_away: list[Addressee] = []
        ready: list[Candidate] = []
        for one, slot in zip(fits, slots, strict=True):
            if isinstance(slot, SendPermit):
                one.permit = slot
                ready.append(one)
            elif isinstance(slot, NoSlot):
                turned_away.append(one.who)
            elif slot is not None:
                raise slot
        windows = await asyncio.gather(
            *(self._window(run, ones, ctx) for ones in by_window(ready)), return_exceptions=True
        )
        # All of them are over before one that failed gives the chunk back: its places are let go of then.
        for back in windows:
            if isinstance(back, BaseException):
                raise back
            turned_away += back
        return turned_away

    async def _window(self, run: ChunkRun, ready: list[Candidate], ctx: Context) -> list[Addressee]:
        """Claim those whose slots come next just before they do, so that a kill makes uncertain only what was about to go.
        Returns who stays, because the job was stopped meanwhile: what is claimed goes out, whatever is said after that."""
        assert ready[0].permit is not None
        pause = ready[0].permit.at - self._lead.seconds - ctx.now.timestamp()
        if pause > 0:
            await ctx.clock.sleep(pause)
        if await stop_reason(run.event.job_id, run.event.revision, ctx) is not None:
            return [one.who for one in ready]
        run.first_at = run.first_at or ctx.now
        run.events += await self._out(ready, ctx)
        return []

    async def _slot(self, gate: Gate, one: Candidate, ctx: Context) -> SendPermit:
        units = self._pipeline.channel.units(one.request)
        send_request = SendRequest(one.event.message_id, "", units, one.event.message_class)
        return SendPermit(
            gate, send_request, await gate.slot(send_request, ctx, lead=self._lead.seconds), 0.0, gate.breaker.open
        )

    async def _out(self, ready: list[Candidate], ctx: Context) -> list[Event]:
        """Claim, look once more, send, record."""
        client = await client_of(self._pipeline.channel, ready[0].sender, ctx)
        began = ctx.now
        events: list[Event] = []
        mine: list[tuple[Candidate, Delivery]] = []
        taken = await asyncio.gather(*(_taken(one, ctx) for one in ready), return_exceptions=True)
        failure: BaseException | None = None
        for one, elsewhere in zip(ready, taken, strict=True):
            if isinstance(elsewhere, BaseException):
                failure = elsewhere
            elif elsewhere is not None:
                events += elsewhere
            elif one.claim is not None:
                mine.append((one, one.claim))
        stopped = await asyncio.gather(*(self._pipeline.stopped(claim, one.event, ctx) for one, claim in mine))
        self._lead.measured((ctx.now - began).total_seconds())
        ended = [
            asyncio.ensure_future(as_is(claim, end) if end else self._sent(one, claim, client, ctx))
            for (one, claim), end in zip(mine, stopped, strict=True)
        ]
        events += await recorded(ended, ctx)
        if failure is not None:
            # No claim, no send; what this group did is recorded, and the chunk comes again for the rest.
            raise failure
        return events

    async def _sent(self, one: Candidate, claim: Delivery, client: object, ctx: Context) -> tuple[Delivery, Delivery]:
        assert one.permit is not None
        return claim, await self._pipeline.send(claim, one.request, client, one.permit, ctx)

    async def _paced(self, run: ChunkRun, ctx: Context) -> int:
        """How many may go now; waits for the job's own pace, if it has one. 0: look at the clock first."""
        rate = run.event.throttle_per_second
        if rate is None:
            return GROUP_MESSAGES
        size = max(1, min(GROUP_MESSAGES, int(rate / 2), len(run.left)))
        lines = self._lines.setdefault(ctx.store, {})
        if len(lines) > 1000:
            lines.clear()
        line = lines.setdefault(
            (run.event.job_id, rate), SlotLease(f"job#{run.event.job_id}", SlotGrid(rate), ctx.clock)
        )
        try:
            at = await line.take(size, max(1.0, size / rate), ctx, lead=0.0)
        except NoSlot:
            return 0
        await ctx.clock.sleep(max(0.0, at - ctx.now.timestamp()))
        return size


async def _taken(one: Candidate, ctx: Context) -> Sequence[Event] | None:
    assert one.claim is not None
    try:
        return await take(None, one.claim, ctx)
    except RetryLater:
        # Claimed elsewhere in this very moment.
        return ()
