"""Counts values from providers that are not in our vocabulary. Translators keep them raw; the metric makes them
visible."""

from __future__ import annotations

import re
from typing import Any

from libs.common.declare.event import Event
from libs.common.observe import metrics
from libs.messaging.content import Raw
from libs.messaging.events.inbound import AccountNoticed, MessageReceived, ReceiptReceived
from libs.messaging.vocabulary import Status
from services.inbound.parsing.members import UNKNOWN

METRIC = "inbound_unknown"
#: The index in a list, within the path of a member.
_PLACE = re.compile(r"\.\d+(?=\.)")


def count(event: Event) -> None:
    """Adds to ``inbound_unknown`` by ``channel``, ``kind`` (``notice``, ``status``, ``content``, ``member``) and the
    provider's ``label``, for each unknown value of an event. A redelivered event is counted twice: the metric is not
    exact."""
    extra: dict[str, Any] = getattr(event, "details", {})
    for path in extra[UNKNOWN] if isinstance(extra.get(UNKNOWN), dict) else ():
        metrics.count(METRIC, channel=str(getattr(event, "channel", "")), kind="member", word=_PLACE.sub("", path))
    match event:
        case AccountNoticed(kind="unknown", channel=channel, details=details):
            label = details.get("field") or details.get("type") or "unread"
            metrics.count(METRIC, channel=channel, kind="notice", word=str(label))
        case ReceiptReceived(status=Status.UNKNOWN, channel=channel, provider_status=label):
            metrics.count(METRIC, channel=channel, kind="status", word=label)
        case MessageReceived(channel=channel, content=Raw(type=label)):
            metrics.count(METRIC, channel=channel, kind="content", word=label)
