"""What a provider told us that we have no word for. Translators keep it raw; here it is counted, so that somebody looks."""

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
#: The place in a list, within the path of a member.
_PLACE = re.compile(r"\.\d+(?=\.)")


def count(event: Event) -> None:
    """One more ``inbound_unknown`` by ``channel``, ``kind`` (``notice``, ``status``, ``content``, ``member``) and the provider's
    ``label``, for whatever is unknown in it. What comes twice, or is handled twice, is counted twice: a metric is no ledger."""
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
