"""What ``insights`` says."""

from __future__ import annotations

from libs.common.clock import Timestamp
from libs.common.declare.event import Event
from libs.messaging.channels import Channel


class DeliveryAlarmChanged(Event):
    """Too much of a channel's messages failed (``raised``), or no longer. ``tried`` and ``failed`` are those of the last
    ``minutes``: messages that were sent or failed, and those that failed. ``rate`` is their share, 0 where nothing was tried."""

    TYPE = "insights.alarm-changed.v1"
    ABOUT = "channel"

    channel: Channel
    raised: bool
    tried: int
    failed: int
    rate: float
    #: More than this share is too much.
    limit: float
    minutes: int
    at: Timestamp
