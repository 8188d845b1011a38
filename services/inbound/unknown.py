"""What a provider told us that we have no word for. Translators keep it raw; here it is counted, so that somebody looks."""

from __future__ import annotations

import re
from typing import Any

from libs.common import metrics
from libs.common.event import Event
from libs.messaging.content import Raw
from libs.messaging.events.inbound import AccountNoticed, MessageReceived, ReceiptReceived
from libs.messaging.words import Status
from services.inbound.channels.members import UNKNOWN

METRIC = "inbound_unknown"
#: The place in a list, within the path of a member.
_PLACE = re.compile(r"\.\d+(?=\.)")


def count(event: Event) -> None:
    """One more ``inbound_unknown`` by ``channel``, ``kind`` (``notice``, ``status``, ``content``, ``member``) and the provider's
    ``word``, for whatever is unknown in it. What comes twice, or is handled twice, is counted twice: a metric is no ledger."""
    told: dict[str, Any] = getattr(event, "details", {})
    for path in told[UNKNOWN] if isinstance(told.get(UNKNOWN), dict) else ():
        metrics.count(METRIC, channel=str(getattr(event, "channel", "")), kind="member", word=_PLACE.sub("", path))
    match event:
        case AccountNoticed(kind="unknown", channel=channel, details=details):
            word = details.get("field") or details.get("type") or "unread"
            metrics.count(METRIC, channel=channel, kind="notice", word=str(word))
        case ReceiptReceived(status=Status.UNKNOWN, channel=channel, provider_status=word):
            metrics.count(METRIC, channel=channel, kind="status", word=word)
        case MessageReceived(channel=channel, content=Raw(type=word)):
            metrics.count(METRIC, channel=channel, kind="content", word=word)
