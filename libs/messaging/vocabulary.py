"""Closed vocabularies: directions, classes, purposes, statuses and their ranks."""

from __future__ import annotations

from enum import StrEnum


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class MessageClass(StrEnum):
    """How a message is treated (lane, policy for uncertain sends, time to live)."""

    OTP = "otp"
    TRANSACTIONAL = "transactional"
    BULK = "bulk"
    REPLY = "reply"


class Purpose(StrEnum):
    """What it is for. ``marketing`` obeys quiet hours and caps; ``compliance`` is the one answer to STOP or HELP, which
    may go to somebody who has opted out."""

    SERVICE = "service"
    MARKETING = "marketing"
    COMPLIANCE = "compliance"


class Status(StrEnum):
    """Where a message stands. ``received`` is for inbound ones."""

    QUEUED = "queued"
    DEFERRED = "deferred"
    CLAIMED = "claimed"
    UNCERTAIN = "uncertain"
    UNKNOWN = "unknown"
    SENT = "sent"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"
    RECEIVED = "received"


#: A status only ever moves to a higher rank, whatever the order and number of reports. ``uncertain`` and ``unknown`` give
#: way to any definite report; ``failed`` gives way to a proof of delivery, never the other way round.
RANK: dict[Status, int] = {
    Status.QUEUED: 0,
    Status.DEFERRED: 10,
    Status.CLAIMED: 20,
    Status.UNCERTAIN: 30,
    Status.UNKNOWN: 40,
    Status.SENT: 50,
    Status.SUPPRESSED: 60,
    Status.EXPIRED: 60,
    Status.CANCELLED: 60,
    Status.FAILED: 60,
    Status.DELIVERED: 70,
    Status.READ: 80,
    Status.RECEIVED: 90,
}


def rises(old: Status, new: Status) -> bool:
    """Whether a report of ``new`` changes a message that stands at ``old``."""
    return RANK[new] > RANK[old]
