"""Events that ``insights`` publishes."""

from __future__ import annotations

from libs.common.clock import Timestamp
from libs.common.declare.event import Event
from libs.messaging.channels import Channel


class DeliveryAlarmChanged(Event):
    """The alarm of a channel's failure rate was raised or cleared. ``tried`` and ``failed`` count the last ``minutes``:
    messages sent or failed, and those that failed. ``rate`` is the share of failures, 0 if ``tried`` is 0."""

    TYPE = "insights.alarm-changed.v1"
    ABOUT = "channel"

    channel: Channel
    raised: bool
    tried: int
    failed: int
    rate: float
    #: The threshold: the alarm is raised above this share.
    limit: float
    minutes: int
    at: Timestamp
