"""The life of a message at its sender, over a store and a bus in memory; everything arrives twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from libs.common.handle.receive import receive
from libs.common.settings import Settings
from libs.common.store.ops import Insert, Write, Written
from libs.messaging.channels import Channel
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import CancelAsked, MessageConfirmed
from libs.messaging.events.outbound import DeliveryChanged, PermissionApplied, SendAgainDecided
from libs.messaging.vocabulary import MessageClass, Status
from services.outbound.contract import Outcome, Request
from services.outbound.limits.rates import Limits
from tests.services.outbound.kit import (
    NAME,
    SENDER,
    Fake,
    accepts,
    first,
    loses_answer,
    message,
    permission,
    refuses,
    row,
    unreachable,
    world,
)


async def test_sent_once_and_said() -> None:
    fake = Fake()
    async with world(fake) as w:
        await w.hear(permission(w.clock.now()))
        await w.hear(message(w.clock.now()))
        assert fake.accepted == {"m1": 1}
        (said,) = w.said(DeliveryChanged)
        assert (said.status, said.provider_id, said.sender, said.attempt) == (Status.SENT, "provider-m1-1", SENDER, 1)
        found = await row(w)
        assert (found.status, found.open, found.due) == (Status.SENT, None, None)


async def test_refused_by_the_provider() -> None:
    fake = Fake(refuses)
    async with world(fake) as w:
        await w.hear(permission(w.clock.now()))
        await w.hear(message(w.clock.now()))
        (said,) = w.said(DeliveryChanged)
        assert (said.status, said.error_code, said.provider_code) == (Status.FAILED, "undeliverable", "131026")


@pytest.mark.parametrize(
    ("facts", "more", "status", "code"),
    [
        ({"opted_in": False}, {}, Status.SUPPRESSED, ErrorCode.NO_CONSENT),
        ({"suppressed": "hard bounce"}, {}, Status.SUPPRESSED, ErrorCode.SUPPRESSED),
        ({"deleted": True}, {}, Status.SUPPRESSED, ErrorCode.CONTACT_ERASED),
        ({"address": "12"}, {}, Status.FAILED, ErrorCode.INVALID_RECIPIENT),
        ({"last_inbound_at": None}, {}, Status.FAILED, ErrorCode.WINDOW_CLOSED),
        ({}, {"sender": "somebody-else"}, Status.FAILED, ErrorCode.SENDER_NOT_ALLOWED),
    ],
)
async def test_refused_by_us(
    facts: dict[str, object], more: dict[str, object], status: Status, code: ErrorCode
) -> None:
    fake = Fake()
    async with world(fake, times=1) as w:
        await w.hear(permission(w.clock.now(), **facts))
        await w.hear(message(w.clock.now(), **more))
        await w.advance(30, step=2)
        (said,) = w.said(DeliveryChanged)
        assert (said.status, said.error_code) == (status, code)
        assert not fake.asked


async def test_a_permission_that_is_late_is_waited_for() -> None:
    fake = Fake()
    async with world(fake, times=1) as w:
        await w.hear(message(w.clock.now()))
        assert not fake.asked
        await w.hear(permission(w.clock.now()))
        await w.advance(4, step=1)
        assert fake.accepted == {"m1": 1}


@pytest.mark.parametrize("known", [None, {"revision": 1, "opted_in": False}])
async def test_news_that_a_killed_worker_held_for_a_minute_is_waited_for(known: dict[str, Any] | None) -> None:
    fake = Fake()
    async with world(fake, times=1) as w:
        if known is not None:
            await w.hear(permission(w.clock.now(), **known))
        await w.hear(message(w.clock.now(), revision=2))
        await w.advance(60, step=2)
        assert not w.said(DeliveryChanged)
        await w.hear(permission(w.clock.now(), revision=2))
        await w.advance(4, step=1)
        assert fake.accepted == {"m1": 1}


async def test_a_message_whose_permission_never_comes_is_refused_after_a_while() -> None:
    fake = Fake()
    async with world(fake, times=1) as w:
        await w.hear(message(w.clock.now(), revision=1))
        await w.advance(80, step=2)
        assert [said.error_code for said in w.said(DeliveryChanged)] == [ErrorCode.CONTACT_ERASED]


async def test_who_opted_out_after_the_message_was_accepted_is_refused_at_once() -> None:
    fake = Fake()
    async with world(fake, times=1) as w:
        await w.hear(permission(w.clock.now(), revision=2, opted_out_at=w.clock.now()))
        await w.hear(message(w.clock.now(), revision=1))
        assert [said.error_code for said in w.said(DeliveryChanged)] == [ErrorCode.OPTED_OUT]


async def test_expired_before_it_was_sent() -> None:
    fake = Fake()
    async with world(fake) as w:
        await w.hear(permission(w.clock.now()))
        await w.hear(message(w.clock.now(), expires_at=w.clock.now() - timedelta(seconds=1)))
        assert [said.status for said in w.said(DeliveryChanged)] == [Status.EXPIRED]
        assert not fake.asked


async def test_dry_run_calls_nobody() -> None:
    fake = Fake()
    async with world(fake, settings=Settings(stage="test", send_mode="DRY_RUN")) as w:
        await w.hear(permission(w.clock.now()))
        await w.hear(message(w.clock.now()))
        (said,) = w.said(DeliveryChanged)
        assert said.dry_run
        assert said.provider_id is None
        assert not fake.asked


async def test_not_sent_is_tried_again_and_announced_once() -> None:
    fake = Fake(first(unreachable, times=3))
    async with world(fake, times=1) as w:
        await w.hear(permission(w.clock.now()))
        await w.hear(message(w.clock.now()))
        await w.advance(120, step=1)
        assert fake.accepted == {"m1": 1}
        assert [said.status for said in w.said(DeliveryChanged)] == [Status.DEFERRED, Status.SENT]
        assert [said.attempt for said in w.said(SendAgainDecided)] == [2, 3, 4]
        assert (await row(w)).attempt == 4


async def test_not_sent_ends_with_its_time_to_live() -> None:
    fake = Fake(unreachable)
    async with world(fake, times=1) as w:
        await w.hear(permission(w.clock.now()))
        await w.hear(message(w.clock.now(), message_class=MessageClass.OTP))
        await w.advance(400, step=5)
        assert w.said(DeliveryChanged)[-1].status is Status.EXPIRED
        assert not fake.accepted


@pytest.mark.parametrize("message_class", list(MessageClass))
async def test_uncertain_follows_the_policy_of_its_class(message_class: MessageClass) -> None:
    """Acceptances <= 1 + recorded resends; bulk and replies are never resent by themselves."""
    fake = Fake(first(loses_answer))
    async with world(fake, times=1) as w:
        await w.hear(permission(w.clock.now()))
        await w.hear(message(w.clock.now(), message_class=message_class))
        for _ in range(20):
            await w.tick(NAME)
            await w.advance(7, step=7)
        resends = message_class in (MessageClass.OTP, MessageClass.TRANSACTIONAL)
        found = await row(w)
        assert fake.accepted["m1"] == 1 + found.resends == (2 if resends else 1)
        said = [event.status for event in w.said(DeliveryChanged)]
        if resends:
            assert said == [Status.UNCERTAIN, Status.SENT]
            assert any("resent by the policy" in note for note in found.notes)
        elif message_class is MessageClass.REPLY:
            assert said == [Status.UNCERTAIN, Status.UNKNOWN]
            assert found.error_code is ErrorCode.NOT_CONFIRMED
        else:
            assert said == [Status.UNCERTAIN]


async def test_confirmed_is_not_resent() -> None:
    fake = Fake(first(loses_answer))
    async with world(fake, times=1) as w:
        await w.hear(permission(w.clock.now()))
        await w.hear(message(w.clock.now()))
        confirmed = MessageConfirmed(
            message_id="m1", channel=Channel.WHATSAPP, status=Status.DELIVERED, provider_id="wamid.1", at=w.clock.now()
        )
        await w.hear(confirmed)
        await w.advance(200)
        await w.tick(NAME)
        await w.advance(200)
        assert fake.accepted == {"m1": 1}
        assert ((await row(w)).status, (await row(w)).provider_id) == (Status.SENT, "wamid.1")


async def test_an_operator_may_resend_what_is_unknown() -> None:
    fake = Fake(first(loses_answer))
    async with world(fake) as w:
        await w.hear(permission(w.clock.now()))
        queued = message(w.clock.now(), message_class=MessageClass.REPLY)
        await w.hear(queued)
        await w.advance(61)
        await w.tick(NAME)
        assert (await row(w)).status is Status.UNKNOWN
        await w.hear(queued.model_copy(update={"resend": 1}))
        await w.hear(queued.model_copy(update={"resend": 1}))
        found = await row(w)
        assert fake.accepted == {"m1": 2}
        assert (found.status, found.ordered, found.attempt) == (Status.SENT, 1, 2)
        assert any("ordered by an operator" in note for note in found.notes)


@pytest.mark.parametrize("when", ["before", "between", "after"])
async def test_called_back(when: str) -> None:
    fake = Fake(first(unreachable) if when == "between" else accepts)
    async with world(fake, times=1) as w:
        asked = CancelAsked(
            message_id="m1", contact_id="contact-1", channel=Channel.WHATSAPP,
            message_class=MessageClass.TRANSACTIONAL, at=w.clock.now(),
        )  # fmt: skip
        await w.hear(permission(w.clock.now()))
        events = [message(w.clock.now()), asked]
        for event in reversed(events) if when == "before" else events:
            await w.hear(event)
        await w.advance(30, step=1)
        found = await row(w)
        sent = when == "after"
        assert fake.accepted == ({"m1": 1} if sent else {})
        assert found.status is (Status.SENT if sent else Status.CANCELLED)
        assert w.said(DeliveryChanged)[-1].status is found.status
        assert found.queued is None, "what it says is not kept when nothing is left to be sent"


async def test_stop_wins_over_a_deferred_message_and_is_acknowledged() -> None:
    fake = Fake(first(unreachable))
    async with world(fake, times=1) as w:
        await w.hear(permission(w.clock.now()))
        await w.hear(message(w.clock.now()))
        await w.hear(permission(w.clock.now(), 2, True, opted_out_at=w.clock.now()))
        await w.advance(2, step=1)
        (applied,) = w.said(PermissionApplied)
        assert applied.revision == 2
        await w.advance(60, step=1)
        assert not fake.accepted
        assert (await row(w)).status is Status.SUPPRESSED


@pytest.mark.parametrize("delay", range(40))
async def test_a_stop_that_races_a_send(delay: int) -> None:
    """After the opt-out was acknowledged nothing is sent but what was already claimed, however the two interleave."""
    fake, story = Fake(), list[str]()

    async def reported(fake: Fake, request: Request) -> Outcome:
        story.append("sent")
        return await accepts(fake, request)

    fake.behaviour = reported
    async with world(fake, limits=Limits(per_second=100, pair_seconds=6), times=1) as w:
        await w.hear(permission(w.clock.now()))
        w.runtime.store = Watched(w.store, story)
        await w.publish(message(w.clock.now()), permission(w.clock.now(), 2, True, opted_out_at=w.clock.now()))
        (send,) = await w.bus.receive("wecare-test-outbound-whatsapp-tx", 1, 0)
        (stop,) = await w.bus.receive("wecare-test-outbound-whatsapp", 1, 0)

        async def stops() -> None:
            for _ in range(delay):
                await asyncio.sleep(0)
            await receive(w.runtime, w.service(NAME), stop)
            story.append("acknowledged")

        await asyncio.gather(receive(w.runtime, w.service(NAME), send), stops())
        await w.advance(30, step=2)
    if "sent" in story:
        assert story.index("claimed") < story.index("acknowledged")
    assert (await row(w)).status in (Status.SENT, Status.SUPPRESSED)
    assert (await row(w)).status is (Status.SENT if "sent" in story else Status.SUPPRESSED)


class Watched:
    """A store that notes when a claim is written."""

    def __init__(self, store: Any, story: list[str]) -> None:
        self._store, self._story = store, story

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, op: Write) -> Written:
        written: Written = await self._store.write(op)
        change = op.row if isinstance(op, Insert) else getattr(op, "set", {})
        if written and change.get("status") == "claimed":
            self._story.append("claimed")
        return written


async def test_a_refused_resend_does_not_hide_that_the_first_may_have_gone_out() -> None:
    fake = Fake(first(loses_answer))
    async with world(fake, times=1) as w:
        await w.hear(permission(w.clock.now()))
        queued = message(w.clock.now(), message_class=MessageClass.REPLY)
        await w.hear(queued)
        await w.advance(61)
        await w.tick(NAME)
        await w.hear(permission(w.clock.now(), 2, opted_out_at=w.clock.now()))
        await w.hear(queued.model_copy(update={"resend": 1}))
        await w.tick(NAME)
        found = await row(w)
        assert fake.accepted == {"m1": 1}
        assert (found.status, found.ordered) == (Status.UNKNOWN, 1)
        assert {said.status for said in w.said(DeliveryChanged)} == {Status.UNCERTAIN, Status.UNKNOWN}


@pytest.mark.parametrize("message_class", [MessageClass.BULK, MessageClass.REPLY])
async def test_the_store_is_down_when_the_outcome_is_to_be_written(message_class: MessageClass) -> None:
    """It was accepted and that cannot be recorded: uncertain, until the receipt says so; never sent again."""
    fake = Fake()
    async with world(fake, times=1) as w:
        await w.hear(permission(w.clock.now()))
        w.runtime.store = Failing(w.store, "sent")
        await w.hear(message(w.clock.now(), message_class=message_class))
        assert fake.accepted == {"m1": 1}
        w.runtime.store = w.store
        await w.advance(120, step=10)
        assert (await row(w)).status is Status.UNCERTAIN
        heard = MessageConfirmed(message_id="m1", channel=Channel.WHATSAPP, status=Status.SENT, at=w.clock.now())
        await w.hear(heard)
        assert (await row(w)).status is Status.SENT
        assert fake.accepted == {"m1": 1}


async def test_without_a_claim_nothing_is_sent() -> None:
    fake = Fake()
    async with world(fake, times=1) as w:
        await w.hear(permission(w.clock.now()))
        w.runtime.store = Failing(w.store, "claimed")
        await w.hear(message(w.clock.now()))
        assert not fake.asked
        w.runtime.store = w.store
        await w.advance(60, step=10)
        assert fake.accepted == {"m1": 1}


async def test_a_claim_whose_answer_was_lost_recognises_itself() -> None:
    fake = Fake()
    async with world(fake, times=1) as w:
        await w.hear(permission(w.clock.now()))
        w.runtime.store = Failing(w.store, "claimed", times=1, after=True)
        await w.hear(message(w.clock.now()))
        assert fake.accepted == {"m1": 1}
        assert (await row(w)).status is Status.SENT


class Failing:
    """A store that is down for one kind of write: before its effect, or with the answer lost after it."""

    def __init__(self, store: Any, status: str, times: int = 10_000, after: bool = False) -> None:
        self._store, self._status, self._times, self._after = store, status, times, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, op: Write) -> Written:
        change = op.row if isinstance(op, Insert) else getattr(op, "set", {})
        if change.get("status") == self._status and self._times:
            self._times -= 1
            if self._after:
                await self._store.write(op)
            raise ConnectionError("the store is down")
        written: Written = await self._store.write(op)
        return written


async def test_two_workers_one_acceptance() -> None:
    """Fifty races of two processes for one message."""
    fake = Fake()
    for _ in range(50):
        fake.accepted.clear()
        one, two = world(fake, times=1), world(fake, times=1)
        two.runtime.store = one.store
        async with one, two:
            await one.hear(permission(one.clock.now()))
            envelope = one.envelope(message(one.clock.now()))
            for w in (one, two):
                await w.bus.publish([envelope])
            await asyncio.gather(one.settle(), two.settle())
            for w in (one, two):
                await w.advance(60, step=10)
            assert fake.accepted == {"m1": 1}
            assert (await row(one)).status is Status.SENT


async def test_an_opt_out_is_acknowledged_only_after_what_was_claimed_before_it_is_through() -> None:
    """The provider takes its time; the acknowledgement names a moment after its answer."""
    fake, order = Fake(), list[str]()
    called, answer = asyncio.Event(), asyncio.Event()

    async def slow(fake: Fake, request: Request) -> Outcome:
        called.set()
        await answer.wait()
        order.append("accepted")
        return await accepts(fake, request)

    fake.behaviour = slow
    async with world(fake, times=1) as w:
        await w.hear(permission(w.clock.now()))
        await w.publish(message(w.clock.now()))
        (send,) = await w.bus.receive("wecare-test-outbound-whatsapp-tx", 1, 0)
        sending = asyncio.create_task(receive(w.runtime, w.service(NAME), send))
        await called.wait()
        await w.publish(permission(w.clock.now(), 2, True, opted_out_at=w.clock.now()))
        for _ in range(5):
            w.clock.advance(1)
            for record in await w.bus.receive("wecare-test-outbound-whatsapp", 10, 0):
                await receive(w.runtime, w.service(NAME), record)
        assert not w.said(PermissionApplied)
        answer.set()
        await sending
        await w.advance(5, step=1)
        (applied,) = w.said(PermissionApplied)
        assert order == ["accepted"]
        assert (await row(w)).status is Status.SENT
        assert applied.at >= (await row(w)).at
