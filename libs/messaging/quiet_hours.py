"""Quiet hours: the local hours in which marketing may be sent to a recipient.

Default 8:00 to 21:00 in the recipient's time zone, as 47 CFR 64.1200(c)(1) requires for solicitations. To a number that
may be in several zones, marketing is sent only at hours that are allowed in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

#: Within this time every hour of the day occurs in every zone, clock changes included.
SEARCH_HORIZON = timedelta(hours=50)
_SEARCH_STEP = timedelta(minutes=15)
_UNKNOWN = "Etc/Unknown"


@dataclass(frozen=True)
class Hours:
    """Allowed hours, from ``opens`` until before ``closes``, on the same day."""

    opens: time = time(8)
    closes: time = time(21)

    @staticmethod
    def of(text: str) -> Hours:
        """Parses ``08:00-21:00``. Raises ValueError."""
        opens, closes = (time.fromisoformat(part.strip()) for part in text.split("-"))
        if opens >= closes:
            raise ValueError("the hours must begin before they end, on one day")
        return Hours(opens, closes)

    def allow(self, moment: datetime, zone: ZoneInfo) -> bool:
        return self.opens <= moment.astimezone(zone).time() < self.closes

    def next_opening(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """Returns the next time at which it is ``opens`` in the zone."""
        there = moment.astimezone(zone)
        day = there.date() if there.time() < self.opens else there.date() + timedelta(days=1)
        return datetime.combine(day, self.opens, zone).astimezone(UTC)


def zones_of(zone: str | None, address: str | None, otherwise: str = "UTC") -> tuple[str, ...]:
    """Returns the zones the recipient may be in: the contact's zone if known, else those of the number
    (libphonenumber's tables), else ``otherwise``."""
    if zone:
        return (zone,)
    if address and address.startswith("+"):
        # Imported here because only marketing needs these tables.
        import phonenumbers
        from phonenumbers import timezone

        try:
            found = timezone.time_zones_for_number(phonenumbers.parse(address))
        except phonenumbers.NumberParseException:
            found = ()
        known = tuple(name for name in found if name != _UNKNOWN)
        if known:
            return known
    return (otherwise,)


def next_allowed(now: datetime, zones: Sequence[str], hours: Hours) -> datetime | None:
    """Returns ``now`` if it is allowed in every zone, else the first moment that is; None if no hour is allowed in all
    of them."""
    places = [ZoneInfo(name) for name in zones]
    moment = now
    while moment <= now + SEARCH_HORIZON:
        closed = [place for place in places if not hours.allow(moment, place)]
        if not closed:
            return moment
        # This skips no allowed hour: until the last of the closed zones opens, that zone is closed.
        later = max(hours.next_opening(moment, place) for place in closed)
        # When a clock change skips the opening time, ``next_opening`` is not later than ``moment``.
        moment = later if later > moment else moment + _SEARCH_STEP
    return None
