"""A provider that refuses a send because of its own opt-out list is heard."""

from __future__ import annotations

from libs.messaging.errors import ErrorCode
from libs.messaging.events.outbound import DeliveryChanged, OptOutFound
from services.outbound.contract import Outcome, Rejected, Request
from tests.services.outbound.kit import CONTACT, Fake, message, permission, world


async def lists_them(fake: Fake, request: Request) -> Outcome:
    return Rejected(ErrorCode.OPTED_OUT, "131050", "stopped marketing")


async def test_a_refusal_for_an_opt_out_is_told_once_however_often_the_message_comes() -> None:
    async with world(Fake(lists_them)) as w:
        await w.hear(permission(w.clock.now()))
        queued = message(w.clock.now())
        await w.hear(queued, key="once")
        await w.hear(queued, key="once")
        (found,) = w.said(OptOutFound)
        assert (found.contact_id, found.message_id, found.scope, found.provider_code) == (
            CONTACT,
            "m1",
            "marketing",
            "131050",
        )


async def test_our_own_refusal_for_an_opt_out_is_no_news() -> None:
    async with world(Fake()) as w:
        await w.hear(permission(w.clock.now(), opted_in=False, opted_out_at=w.clock.now()))
        await w.hear(message(w.clock.now()))
        await w.advance(20)
        assert [said.error_code for said in w.said(DeliveryChanged)] == ["opted_out"]
        assert w.said(OptOutFound) == []
