"""Enums: directions, classes, purposes, statuses and their ranks."""

from __future__ import annotations

from enum import StrEnum


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class MessageClass(StrEnum):
    """The class of a message: determines its lane, the policy for uncertain sends, and the time to live."""

    OTP = "otp"
    TRANSACTIONAL = "transactional"
    BULK = "bulk"
    REPLY = "reply"


class Purpose(StrEnum):
    """The purpose of a message. ``marketing`` is subject to quiet hours and caps; ``compliance`` is the one reply to
    STOP or HELP, which may be sent to a contact who has opted out."""

    SERVICE = "service"
    MARKETING = "marketing"
    COMPLIANCE = "compliance"


class Status(StrEnum):
    """The status of a message. ``received`` is for inbound ones."""

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


#: A status only changes to a higher rank, whatever the order and number of reports. Any definite report replaces
#: ``uncertain`` and ``unknown``; a proof of delivery replaces ``failed``, never the reverse.
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
    """Whether a report of ``new`` changes a message whose status is ``old``."""
    return RANK[new] > RANK[old]
