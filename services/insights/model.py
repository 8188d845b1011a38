"""Message groups, and the figures that follow from them. Pure.

The figures are the sum of the counts of all histories in all groups. A group and the figures that it changes are
written in one transaction, each conditional on the version that was read, so they are always consistent, whatever the
number of attempts.
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

#: Events older than this are not counted. Older ones can still arrive: 14 days in a queue, 14 in its dead-letter queue,
#: 7 as a stored dead letter.
REPORT_HORIZON = timedelta(days=40)
#: Longer than the horizon, so that an event which is still counted finds its group.
GROUP_RETENTION = timedelta(days=50)
FIGURES_RETENTION = timedelta(days=400)
#: The rows of one period: with this many, processes rarely write the same one.
SHARDS = 4
#: The class of messages without one: inbound ones.
NO_CLASS = "-"


class MessageGroup(Item):
    """The histories of up to a few hundred messages that change together: those of a chunk of a job, else one message
    alone."""

    TABLE: ClassVar[Table] = Table("group", key="groupId", ttl="expiresAt")

    group_id: str
    channel: Channel
    message_class: MessageClass | None = None
    #: Digest of the message's id -> encoded history.
    stories: dict[str, str] = Field(default_factory=dict)
    expires_at: int

    @staticmethod
    def id_of(event: MessageChanged) -> str:
        """Returns the group's id: a job's reference begins with the part of the job that the message is sent with, then
        a dot."""
        part, dot, _ = (event.job_ref or "").partition(".")
        about = f"{event.job_id}#{part}" if event.job_id and dot else event.message_id
        return f"{about}#{event.channel}#{event.message_class or NO_CLASS}"

    @staticmethod
    def of(event: MessageChanged) -> MessageGroup:
        """Returns an empty group."""
        return MessageGroup(
            group_id=MessageGroup.id_of(event),
            channel=event.channel,
            message_class=event.message_class,
            expires_at=int((event.at + GROUP_RETENTION).timestamp()),
        )

    def changed(self, event: MessageChanged) -> tuple[MessageGroup, Change] | None:
        """Returns the group with the event in it and the resulting change; None if it already contained the event."""
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
    """The changes of one event: rows by ``(series, period)``, and the difference of each count."""

    def __init__(self, channel: Channel, message_class: str, counts: Counted) -> None:
        self.rows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        by_hour, by_day = (Figures.series_of(channel, by) for by in By)
        for (at, what), n in counts.items():
            if not n:
                continue
            hour, day = hour_and_day(at)
            # The 5-minute counts are for a channel, over all classes; a day has none.
            if what[0] == "@":
                self.rows[by_hour, hour][what] += n
            else:
                name = f"{message_class}.{what}"
                self.rows[by_hour, hour][name] += n
                self.rows[by_day, day][name] += n


class Figures(Item):
    """Counts of one period of a channel; several rows (shards) make up a period. ``counts`` by ``<class>.<name>`` and,
    in an hour, ``@<five minutes>.<status>``. The count of a single shard may be negative, because another shard has the
    corresponding increase."""

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
    """Returns the counts of each period, summed over its shards."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        found[row.period].update(row.counts)
    return found


class DeliveryAlarm(Alarm):
    """The alarm of a channel, as of the last check. The figures are those at ``at``."""

    TABLE: ClassVar[Table] = Table("alarm", key="listed", sort="channel")

    listed: str = "all"
    channel: Channel
    tried: int
    failed: int


class DeadLetterAlarm(Alarm):
    """The open dead letters of a queue when its alarm was last raised or cleared."""

    TABLE: ClassVar[Table] = Table("letter-alarm", key="listed", sort="queue")

    listed: str = "all"
    queue: str
    waiting: int
    quarantined: int


def is_countable(at: datetime, now: datetime) -> bool:
    """Whether an event of that time is counted: not if it is older than the horizon, nor if it is more than a day in
    the future."""
    return now - REPORT_HORIZON <= at <= now + timedelta(days=1)


def _key(message_id: str) -> str:
    """Returns a short digest of the id (72 bits), sufficiently unique within the hundreds of a group."""
    return urlsafe_b64encode(hashlib.blake2b(message_id.encode(), digest_size=9).digest()).decode()
