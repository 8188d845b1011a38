"""What a chunk weighs as the event that carries it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from libs.common.packing import MAX_EVENT_BYTES
from libs.messaging.content import Content

#: The envelope, and what a release says besides its content and its recipients.
ENVELOPE_BYTES = 4_000
#: What a recipient weighs besides the variables: names of members, ids, reference, position.
RECIPIENT_BYTES = 400
#: A content must leave room for this much of recipients.
MIN_RECIPIENTS_BYTES = 20_000
#: A job when it is created. What planning adds to it is small, and DynamoDB takes items of 400 KB.
MAX_JOB_BYTES = 300_000
#: U+FFFE and U+FFFF are six bytes as escapes instead of three (see :func:`libs.common.event.encode`).
_NONCHARACTERS = b"\xef\xbf"


def encoded_bytes(value: object) -> int:
    """The most that a JSON value comes to in an event."""
    encoded = orjson.dumps(value)
    return len(encoded) + 3 * encoded.count(_NONCHARACTERS)


def recipient_bytes(contact_id: str, variables: Mapping[str, str]) -> int:
    return RECIPIENT_BYTES + len(contact_id) + encoded_bytes(dict(variables))


def room_bytes(content: Content) -> int:
    """How much the recipients of one chunk may weigh together."""
    return (
        MAX_EVENT_BYTES
        - ENVELOPE_BYTES
        - encoded_bytes(content.model_dump(mode="json", by_alias=True, exclude_none=True))
    )
