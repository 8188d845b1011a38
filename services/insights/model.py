"""Messages by group, and the figures that follow from them. Pure.

The figures are the sum of what the stories in all groups count for. A group and the figures that it changes are written in one
transaction, each over the version that was read: so they can be neither behind nor ahead of it, however often that is tried.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field

from libs.common.handle.alarms import Alarm
from libs.common.store.item import Item, Table
from libs.messaging.channels import Channel
from libs.messaging.events.messages import MessageChanged
from libs.messaging.vocabulary import MessageClass
from services.insights.message_history import Counted, MessageHistory
from services.insights.periods import By, hour_and_day

#: No event of so long ago is counted. It could still come: fourteen days in a queue, fourteen in the dead-letter queue behind
#: it, seven on record there.
REPORT_HORIZON = timedelta(days=40)
#: So much longer than the horizon that an event which is still counted finds its group.
GROUP_RETENTION = timedelta(days=50)
FIGURES_RETENTION = timedelta(days=400)
#: The rows of one period: so many processes rarely write the same one.
SHARDS = 4
#: Of messages without a class: inbound ones.
NO_CLASS = "-"


class MessageGroup(Item):
    """The stories of up to a few hundred messages that move together: those of a chunk of a job, else one message alone."""

    TABLE: ClassVar[Table] = Table("group", key="groupId", ttl="expiresAt")

    group_id: str
    channel: Channel
    message_class: MessageClass | None = None
    #: By a digest of the message's id: a story as a line.
    stories: dict[str, str] = Field(default_factory=dict)
    expires_at: int

    @staticmethod
    def id_of(event: MessageChanged) -> str:
        """A job's reference names first the part of the job that the message travels with, then a dot."""
        part, dot, _ = (event.job_ref or "").partition(".")
        about = f"{event.job_id}#{part}" if event.job_id and dot else event.message_id
        return f"{about}#{event.channel}#{event.message_class or NO_CLASS}"

    @staticmethod
    def of(event: MessageChanged) -> MessageGroup:
        """The group before anything is known of its messages."""
        return MessageGroup(
            group_id=MessageGroup.id_of(event),
            channel=event.channel,
            message_class=event.message_class,
            expires_at=int((event.at + GROUP_RETENTION).timestamp()),
        )

    def changed(self, event: MessageChanged) -> tuple[MessageGroup, Change] | None:
        """The group with the event in it and what that changes; None if it knew."""
        key = _key(event.message_id)
        before = MessageHistory.from_line(self.stories.get(key, ""))
        after = before.with_(MessageHistory.of(event))
        if after == before:
            return None
        expires_at = max(self.expires_at, int((event.at + GROUP_RETENTION).timestamp()))
        histories = {**self.stories, key: after.to_line()}
        updated = self.model_copy(update={"stories": histories, "expires_at": expires_at})
        counts = after.counts()
        counts.subtract(before.counts())
        return updated, Change(self.channel, str(self.message_class or NO_CLASS), counts)


class Change:
    """What one event does to the figures: rows by ``(series, period)`` and by how much each count moves."""

    def __init__(self, channel: Channel, message_class: str, counts: Counted) -> None:
        self.rows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        by_hour, by_day = (Figures.series_of(channel, by) for by in By)
        for (at, what), n in counts.items():
            if not n:
                continue
            hour, day = hour_and_day(at)
            # Five minutes are those of a channel, whatever the class; a day has none.
            if what[0] == "@":
                self.rows[by_hour, hour][what] += n
            else:
                name = f"{message_class}.{what}"
                self.rows[by_hour, hour][name] += n
                self.rows[by_day, day][name] += n


class Figures(Item):
    """Counts of one period of a channel; several rows (shards) make up a period. ``counts`` by ``<class>.<what>`` and, in an
    hour, ``@<five minutes>.<status>``. One shard alone may be less than nothing: what one counted another takes back."""

    TABLE: ClassVar[Table] = Table("figures", key="series", sort="place", ttl="expiresAt")

    #: ``<channel>#hour`` or ``<channel>#day``.
    series: str
    #: ``<period>#<shard>``.
    place: str
    counts: dict[str, int] = Field(default_factory=dict)
    expires_at: int

    @staticmethod
    def series_of(channel: Channel, by: By) -> str:
        return f"{channel}#{by}"

    @staticmethod
    def empty(series: str, place: str) -> Figures:
        by = By(series.partition("#")[2])
        until = by.begin(place.partition("#")[0]) + FIGURES_RETENTION
        return Figures(series=series, place=place, expires_at=int(until.timestamp()))

    @property
    def period(self) -> str:
        return self.place.partition("#")[0]

    def moved(self, by: Counter[str]) -> Figures:
        sums = Counter(self.counts)
        sums.update(by)
        return self.model_copy(update={"counts": {name: n for name, n in sorted(sums.items()) if n}})


def added_up(rows: Iterable[Figures]) -> dict[str, Counter[str]]:
    """The counts of each period, over its shards."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        found[row.period].update(row.counts)
    return found


class DeliveryAlarm(Alarm):
    """Whether too much of a channel failed when somebody last looked. The figures are of ``at``."""

    TABLE: ClassVar[Table] = Table("alarm", key="listed", sort="channel")

    listed: str = "all"
    channel: Channel
    tried: int
    failed: int


class DeadLetterAlarm(Alarm):
    """The open dead letters of a queue when its alarm was last raised or ended."""

    TABLE: ClassVar[Table] = Table("letter-alarm", key="listed", sort="queue")

    listed: str = "all"
    queue: str
    waiting: int
    quarantined: int


def is_countable(at: datetime, now: datetime) -> bool:
    """Whether an event of that time is counted: not one that is too old to know whether it was, nor one of another day to come."""
    return now - REPORT_HORIZON <= at <= now + timedelta(days=1)


def _key(message_id: str) -> str:
    """Short, and for the hundreds of a group as good as the id: 72 bits."""
    return urlsafe_b64encode(hashlib.blake2b(message_id.encode(), digest_size=9).digest()).decode()
