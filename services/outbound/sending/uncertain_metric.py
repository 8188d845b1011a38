"""The metric of uncertain sends."""

from __future__ import annotations

from libs.common.declare.event import Event
from libs.common.observe import metrics
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.vocabulary import Status

METRIC = "delivery_unsure"


def count(event: Event) -> None:
    """Counts ``delivery_unsure`` by ``channel`` and ``status`` (``uncertain``, or ``unknown`` once it is given up). An event that
    is published twice is counted twice."""
    match event:
        case DeliveryChanged(status=Status.UNCERTAIN | Status.UNKNOWN as status, channel=channel):
            metrics.count(METRIC, channel=channel, status=status)
