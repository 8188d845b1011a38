"""Delivery figures from a terminal."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from libs.cli.insights import sparkline
from libs.messaging.errors import ErrorCode
from tests.cli.conftest import Terminal
from tests.services.insights.kit import changed


def has_a_day(wecare: Terminal) -> None:
    world = wecare.world
    now = world.clock.now()
    reported = [changed(f"y{n}", "sent", now - timedelta(days=1)) for n in range(2)]
    for n in range(100):
        reported.append(changed(f"m{n}", "sent", now))
        reported += [changed(f"m{n}", "delivered", now, source="provider")] if n < 80 else []
    reported += [changed(f"f{n}", "failed", now, code=ErrorCode.BILLING) for n in range(25)]
    reported.append(changed("u", "uncertain", now))
    wecare.run(lambda: world.hear(*reported))
    wecare.run(lambda: _counted(wecare))
    wecare.run(lambda: world.tick("insights", "watch-delivery"))


async def _counted(wecare: Terminal) -> None:
    """The platform works beside us: what it has taken from a queue is counted a moment later."""
    viewer = wecare.world.http("VIEWER")
    async with asyncio.timeout(20):
        while True:
            channels = (await viewer.get("/api/insights/overview")).json()["channels"]
            sms = next((each for each in channels if each["channel"] == "sms"), None)
            if sms and (sms["errorRate"]["tried"], sms["uncertain"]) == (125, 1):
                return
            await asyncio.sleep(0.01)


def test_a_day_is_a_line_for_each_channel_with_what_wants_attention_below(wecare: Terminal) -> None:
    has_a_day(wecare)
    reported = wecare("insights", role="VIEWER")
    assert reported.exit_code == 0, reported.output
    (line,) = [line for line in reported.stdout.splitlines() if line.startswith("sms ")]
    for word in ("100", "2 (+4900%)", "80.0%", "████████░░", "20.0%", "20.0% of 125 ALARM", "█"):
        assert word in line
    assert (
        "sms: 25 billing. The provider refused it because of payment or a spending limit. Check billing."
        in reported.stdout
    )
    assert "ALARM sms: too many messages fail (25 of 125 in 15 minutes)" in reported.stdout
    assert len([line for line in reported.stdout.splitlines() if line.startswith(("whatsapp ", "voice "))]) == 2


def test_json_is_what_the_api_says_of_the_channels_that_are_wanted(wecare: Terminal) -> None:
    has_a_day(wecare)
    reported = json.loads(wecare("insights", "--channel", "sms", "--json").stdout)
    (sms,) = reported["channels"]
    assert (sms["today"]["sent"], sms["today"]["failed"], sms["uncertain"]) == (100, 25, 1)
    refused = wecare("insights", "--channel", "pigeon")
    assert refused.exit_code == 1
    assert "channel" in refused.stderr


@pytest.mark.parametrize(
    ("counts", "line"), [([0, 1, 4, 8], " ▁▄█"), ([0, 0], "  "), ([1000, 1], "█▁"), ([3], "█"), ([], "")]
)
def test_a_sparkline_shows_the_smallest_number_and_nothing_for_none(counts: list[int], line: str) -> None:
    assert sparkline(counts) == line
