"""A send of which nobody can say whether it went out is counted, so that an alarm can look at it; others are not."""

from __future__ import annotations

from libs.common.observe import metrics
from libs.messaging.vocabulary import MessageClass
from tests.services.outbound.kit import Fake, loses_answer, message, permission, world


def lines() -> list[str]:
    return [line for line in metrics.exposition().splitlines() if line.startswith("wecare_delivery_unsure_total{")]


async def test_an_uncertain_send_is_counted_by_channel_and_one_that_went_out_is_not() -> None:
    before = lines()
    async with world(Fake()) as w:
        await w.hear(permission(w.clock.now()))
        await w.hear(message(w.clock.now()))
    assert lines() == before
    async with world(Fake(loses_answer)) as w:
        await w.hear(permission(w.clock.now()))
        await w.hear(message(w.clock.now(), message_class=MessageClass.REPLY))
    (line,) = set(lines()) - set(before)
    assert 'status="uncertain"' in line
    assert 'channel="' in line
