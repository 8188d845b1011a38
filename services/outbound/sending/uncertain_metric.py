"""Sends of which nobody can say whether they went out: counted, so that somebody looks."""

from __future__ import annotations

from libs.common.declare.event import Event
from libs.common.observe import metrics
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.vocabulary import Status

METRIC = "delivery_unsure"


def count(event: Event) -> None:
    """One more ``delivery_unsure`` by ``channel`` and ``status`` (``uncertain``, or ``unknown`` once it is given up). What is
    said twice is counted twice: a metric is no ledger."""
    match event:
        case DeliveryChanged(status=Status.UNCERTAIN | Status.UNKNOWN as status, channel=channel):
            metrics.count(METRIC, channel=channel, status=status)
