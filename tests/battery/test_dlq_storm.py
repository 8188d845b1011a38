"""The short form of R23; the long form measures the rate, and so do the tests of `dlq-replay` with a manual clock."""

from __future__ import annotations

from tests.battery.dlq_storm import storm


async def test_dead_letters_replayed_twice_at_once_with_half_sent_already_send_nothing_twice(
    emulator: dict[str, str],
) -> None:
    figures = await storm(emulator, letters=240, rate=40, kill=True)
    assert figures.violations == []
