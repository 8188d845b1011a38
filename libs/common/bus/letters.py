"""Dead letters on the wire: JSON that keeps the whole record, so that it can be read, judged and replayed."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from libs.common.bus.base import Letter
from libs.common.clock import iso


def to_body(letter: Letter) -> str:
    """The body of the message on the dead-letter queue."""
    fields: dict[str, Any] = {f.name: getattr(letter, f.name) for f in dataclasses.fields(letter) if f.name != "record"}
    record = letter.record
    fields["died_at"] = iso(letter.died_at) if letter.died_at else None
    fields["record"] = {
        "id": record.id,
        "body": record.body,
        "attributes": record.attributes,
        "receiveCount": record.receive_count,
        "sentAt": iso(record.sent_at) if record.sent_at else None,
        "firstReceivedAt": iso(record.first_received_at) if record.first_received_at else None,
    }
    camel = {"event_id": "eventId", "event_type": "eventType", "correlation_id": "correlationId", "died_at": "diedAt"}
    return json.dumps({camel.get(k, k): v for k, v in fields.items() if v is not None}, ensure_ascii=False)
