"""A chunk whose recipients go in several windows: nothing of it goes on once its handling is over, whatever failed."""

from __future__ import annotations

import asyncio
from typing import Any

from libs.common.handle.receive import receive
from libs.common.store.ops import Insert, Write, Written
from libs.messaging.channels import Channel
from libs.messaging.content import Text
from libs.messaging.events.bulk import Addressee, ChunkReleased
from libs.messaging.vocabulary import Purpose, Status
from services.outbound.contract import Outcome, Request
from services.outbound.ledger.model import Delivery
from services.outbound.limits.rates import Limits
from tests.services.outbound.kit import NAME, Fake, accepts, permission, world

COUNT = 12


class DownForOne:
    """A store that is down for the claim of the first recipient: at the claim and when it is asked once more."""

    def __init__(self, store: Any) -> None:
        self._store, self._times = store, 2

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, op: Write) -> Written:
        if isinstance(op, Insert) and op.row.get("messageId") == "m0" and self._times:
            self._times -= 1
            raise ConnectionError("the store is down")
        written: Written = await self._store.write(op)
        return written


async def test_a_window_that_fails_leaves_no_other_window_running_behind_it() -> None:
    handled = False

    async def slow(fake: Fake, request: Request) -> Outcome:
        for _ in range(50):
            await asyncio.sleep(0)
        assert not handled, "sent after its chunk was given back"
        return await accepts(fake, request)

    fake = Fake(slow)
    async with world(fake, limits=Limits(per_second=20), times=1) as w:
        for n in range(COUNT):
            await w.hear(permission(w.clock.now(), contact_id=f"c{n}", address=f"+120255501{n:02d}"))
        now = w.clock.now()
        addressees = tuple(
            Addressee(position=n, message_id=f"m{n}", contact_id=f"c{n}", ref=f"p0.{n}.r{n}.1", variables={})
            for n in range(COUNT)
        )
        chunk = ChunkReleased(
            job_id="j", chunk="p0", release=1, revision=1, channel=Channel.WHATSAPP, purpose=Purpose.SERVICE,
            content=Text(body="Hello"), released_at=now, expires_at=now.replace(year=2027), addressees=addressees,
        )  # fmt: skip
        await w.publish(chunk)
        w.runtime.store = DownForOne(w.runtime.store)
        (record,) = await w.bus.receive("wecare-test-outbound-whatsapp-bulk", 1, 0)
        assert not await receive(w.runtime, w.service(NAME), record)
        handled = True
        for _ in range(200):
            await asyncio.sleep(0)
        rows = [await w.row(NAME, Delivery, f"m{n}") for n in range(COUNT)]
        # Who missed the slot on this clock, where all sleeps add up, waits for another; nothing is left claimed or uncertain.
        assert {row.status for row in rows if row} <= {Status.SENT, Status.DEFERRED}
        assert len(fake.accepted) == sum(row is not None and row.status is Status.SENT for row in rows) > 0
