"""Audit entries and their chains. Pure.

Each shard has one continuous chain, in sections of a day. A link is the digest of an entry with the previous link, so
that any change, removal or insertion changes every later link. Entries are linked in *blocks*: a block lists its
entries with their links, and can be read with strong consistency, which an index cannot. The *head* of a section
records its length, so that entries missing at its end are also detected.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from libs.common.clock import Timestamp, iso
from libs.common.declare.request_events import Fact
from libs.common.declare.wire import Part
from libs.common.stable_hash import shard_for
from libs.common.store.item import Index, Item, Table
from libs.messaging.exports import CsvExport

RETENTION = timedelta(days=180)
#: A table's key allows 200 writes per second, and so does each chain. The number of shards can be increased later: new
#: chains then begin.
SHARDS = ("0", "1", "2", "3")

Kind = Literal["request", "refusal", "fact"]


class AuditLog(Item):
    """One entry: an accepted request, a request refused for a role, or a fact from the platform itself. Every field but
    ``hash`` is part of the link. A field added later must be optional: older entries do not have it, and their links
    must not change. Until it is linked, an entry is ``waiting``."""

    TABLE: ClassVar[Table] = Table(
        "log",
        key="logId",
        indexes=(
            Index("by-shard", hash="shard", sort="place"),
            Index("by-actor", hash="actor", sort="place"),
            Index("by-action", hash="action", sort="place"),
            Index("by-resource", hash="resource", sort="place"),
            Index("by-waiting", hash="waiting", sort="place"),
        ),
        ttl="expiresAt",
    )

    log_id: str
    kind: Kind
    at: Timestamp
    #: ``user:<sub>``, ``customer``, ``provider`` or ``system:<service>``.
    actor: str
    role: str | None = None
    needs: str | None = None
    service: str
    action: str
    resource: str | None = None
    method: str | None = None
    route: str | None = None
    parameters: dict[str, str] | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    facts: list[Fact] | None = None
    more_facts: int | None = None
    unsaid: int | None = None
    key_digest: str | None = None
    correlation_id: str
    shard: str
    #: ``at`` and the id: sorts entries by time.
    place: str
    waiting: str | None = None
    chain: str | None = None
    block: int | None = None
    hash: str | None = None
    expires_at: int

    @staticmethod
    def of(log_id: str, at: datetime, **facts: Any) -> AuditLog:
        """Returns an entry that waits to be linked."""
        shard = SHARDS[shard_for(log_id, len(SHARDS))]
        place = f"{iso(at)}#{log_id}"
        expires_at = int((at + RETENTION).timestamp())
        return AuditLog(
            log_id=log_id, at=at, shard=shard, place=place, waiting=shard, expires_at=expires_at, **facts
        )  # fmt: skip


class Linked(Part):
    """An entry of a block, by its id, with its link."""

    log_id: str
    hash: str


class AuditBlock(Item):
    """A block of entries linked together. ``place`` is the block's number in its section, from 1; ``first`` the
    position of its first entry there, also from 1."""

    TABLE: ClassVar[Table] = Table("block", key="chain", sort="place", ttl="expiresAt")

    chain: str
    place: str
    number: int
    first: int
    previous: str
    entries: list[Linked]
    at: Timestamp
    expires_at: int

    @staticmethod
    def place_of(number: int) -> str:
        return f"{number:09d}"

    @property
    def last(self) -> str:
        """The link that the next block follows."""
        return self.entries[-1].hash if self.entries else self.previous

    @property
    def until(self) -> int:
        """The position of its last entry."""
        return self.first + len(self.entries) - 1


class AuditHead(Item):
    """The head of a day's section: the number of blocks and entries, and the last link. ``follows`` is the previous
    section (its day) and ``previous`` its last link."""

    TABLE: ClassVar[Table] = Table("head", key="shard", sort="day", ttl="expiresAt")

    shard: str
    day: str
    blocks: int = 0
    entries: int = 0
    hash: str
    follows: str | None = None
    previous: str
    at: Timestamp
    expires_at: int

    @property
    def chain(self) -> str:
        return chain_of(self.day, self.shard)


class AuditExport(CsvExport):
    complete: bool


class Anchor(Part):
    """The state of a day's sections at some time, stored outside the tables."""

    class Head(Part):
        blocks: int
        entries: int
        hash: str

    day: str
    at: Timestamp
    heads: dict[str, Head] = Field(default_factory=dict)


def chain_of(day: str, shard: str) -> str:
    return f"{day}#{shard}"


def end_of(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day) + timedelta(days=1), datetime.min.time(), UTC)


def kept_until(day: str) -> int:
    """Returns the expiry of a section, which expires as a whole, because a partial section would fail verification."""
    return int((end_of(day) + RETENTION).timestamp())


def is_kept(day: str, now: datetime) -> bool:
    return kept_until(day) > now.timestamp()
