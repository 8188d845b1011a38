"""The short form of R10 over every queue; ``python -m tests.battery.poison --rounds 5`` is the long one."""

from __future__ import annotations

from tests.battery.poison import Poisoned


async def test_every_unreadable_message_of_every_queue_is_kept_and_none_stops_its_queue() -> None:
    one = Poisoned(rounds=1)
    figure = await one.run()
    assert one.violations == []
    assert figure["deadLetters"] >= 27 * 30
