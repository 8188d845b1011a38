"""The short form of R21; ``python -m tests.battery.outage`` is the long one."""

from __future__ import annotations

from tests.battery.outage import outage


async def test_an_outage_of_the_provider_costs_no_more_than_the_message_that_found_it() -> None:
    row = await outage(replies=80, per_second=4, seconds=30)
    assert row["violations"] == []
    assert row["figure"]["states"]["sent"] >= 79
    assert row["figure"]["probes"] <= 30
