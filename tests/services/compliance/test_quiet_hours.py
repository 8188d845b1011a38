"""Marketing waits for the recipient's morning, through every change of the clocks, and never beyond its time to live."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.messaging.channels import Channel
from libs.messaging.events.outbound import DeliveryChanged, SendAgainDecided
from libs.messaging.quiet_hours import SEARCH_HORIZON, Hours, next_allowed, zones_of
from libs.messaging.vocabulary import MessageClass, Purpose, Status
from tests.services.outbound.kit import NAME, Fake, message, permission, row, world

HOURS = Hours()
ZONES = sorted(available_timezones() - {"localtime", "posixrules", "Factory"})
#: Around these the clocks go forward and back in America, Europe and Australia, and a day is missing in Samoa.
CHANGES = [
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 16, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
]
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
moments = st.one_of(
    st.builds(lambda minutes: BEGIN + timedelta(minutes=minutes), st.floats(0, 10 * 365 * 1440)),
    st.builds(lambda change, hours: change + timedelta(hours=hours), st.sampled_from(CHANGES), st.floats(-30, 30)),
)
some_zones = st.lists(st.sampled_from(ZONES), min_size=1, max_size=4)


def allowed(moment: datetime, zones: list[str]) -> bool:
    """Said another way than the code says it."""
    shown = [moment.astimezone(ZoneInfo(zone)).time() for zone in zones]
    return all(time(8) <= clock < time(21) for clock in shown)


@given(moments, some_zones)
def test_it_is_day_in_every_zone_when_it_may_go(now: datetime, zones: list[str]) -> None:
    found = next_allowed(now, zones, HOURS)
    if found is not None:
        assert found >= now
        assert allowed(found, zones)


@given(moments, some_zones)
def test_no_hour_that_suits_all_is_passed_over(now: datetime, zones: list[str]) -> None:
    found = next_allowed(now, zones, HOURS)
    end = found if found is not None else now + SEARCH_HORIZON - timedelta(hours=2)
    step = now
    while step < end:
        assert not allowed(step, zones)
        step += timedelta(minutes=5)


@given(moments, st.sampled_from(ZONES))
def test_one_zone_waits_less_than_twelve_hours_but_for_the_day_that_samoa_skipped(now: datetime, zone: str) -> None:
    found = next_allowed(now, [zone], HOURS)
    assert found is not None
    assert found - now <= timedelta(hours=12 if now.year != 2011 else 36)


@pytest.mark.parametrize(
    ("zone", "address", "found"),
    [
        ("Europe/Berlin", "+12025550143", ("Europe/Berlin",)),
        (None, "+12025550143", ("America/New_York",)),
        (None, "+491701234567", ("Europe/Berlin",)),
        (None, "+80012345678", ("UTC",)),
        (None, "US.13491208655302741918", ("UTC",)),
    ],
)
def test_the_zone_is_the_contacts_or_the_numbers(zone: str | None, address: str, found: tuple[str, ...]) -> None:
    assert zones_of(zone, address) == found


def test_a_number_of_many_zones_is_written_to_when_it_is_day_in_all_of_them() -> None:
    zones = zones_of(None, "+61412345678")
    assert len(zones) > 3
    found = next_allowed(datetime(2026, 1, 15, 12, tzinfo=UTC), zones, HOURS)
    assert found is not None
    assert allowed(found, list(zones))


# The story, at the sender: it is 12:00 UTC, and 4:00 in Los Angeles.
MARKETING: dict[str, Any] = {"purpose": Purpose.MARKETING, "message_class": MessageClass.BULK}
LA = {"zone": "America/Los_Angeles"}


async def test_marketing_waits_for_the_morning_and_then_goes_out_once() -> None:
    fake = Fake()
    async with world(fake) as w:
        await w.hear(permission(w.clock.now(), **LA))
        await w.hear(message(w.clock.now(), **MARKETING))
        (said,) = w.said(DeliveryChanged)
        assert (said.status, said.error_code) == (Status.DEFERRED, "quiet_hours")
        assert said.not_before == datetime(2026, 1, 15, 16, tzinfo=UTC)
        # It lies in its row, not in a queue.
        assert not w.said(SendAgainDecided)
        await w.tick(NAME)
        await w.advance(4 * 3600 - 900, step=600)
        await w.tick(NAME)
        assert not fake.accepted
        for _ in range(40):
            await w.advance(60)
            await w.tick(NAME)
        assert fake.accepted == {"m1": 1}
        assert (await row(w)).status is Status.SENT
        assert len(w.said(SendAgainDecided)) == 1


async def test_what_would_be_too_late_by_the_morning_expires() -> None:
    fake = Fake()
    async with world(fake) as w:
        await w.hear(permission(w.clock.now(), **LA))
        await w.hear(message(w.clock.now(), expires_at=w.clock.now() + timedelta(hours=3), **MARKETING))
        (said,) = w.said(DeliveryChanged)
        assert said.status is Status.EXPIRED
        assert not fake.asked


async def test_a_stop_in_the_night_wins_over_the_message_that_waits() -> None:
    fake = Fake()
    async with world(fake) as w:
        await w.hear(permission(w.clock.now(), **LA))
        await w.hear(message(w.clock.now(), **MARKETING))
        await w.hear(permission(w.clock.now(), 2, opted_out_at=w.clock.now(), **LA))
        for _ in range(9):
            await w.advance(1800, step=600)
            await w.tick(NAME)
        assert not fake.accepted
        assert (await row(w)).status is Status.SUPPRESSED


@pytest.mark.parametrize("purpose", [Purpose.SERVICE])
async def test_what_is_no_marketing_goes_at_any_hour(purpose: Purpose) -> None:
    fake = Fake()
    async with world(fake) as w:
        await w.hear(permission(w.clock.now(), **LA))
        await w.hear(message(w.clock.now(), purpose=purpose))
        assert fake.accepted == {"m1": 1}


async def test_a_number_that_tells_no_zone_has_the_default_one() -> None:
    fake = Fake()
    async with world(fake) as w:
        await w.hear(permission(w.clock.now(), address="+80012345678"))
        await w.hear(message(w.clock.now(), **MARKETING))
        assert fake.accepted == {"m1": 1}
        assert w.said(DeliveryChanged)[0].channel is Channel.WHATSAPP
