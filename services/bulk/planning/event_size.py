"""What a chunk weighs as the event that carries it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from libs.common.bus.encoding import MAX_EVENT_BYTES, encoded_bytes
from libs.messaging.checks import Refusal
from libs.messaging.content import Content
from libs.messaging.errors import ErrorCode
from libs.messaging.events.bulk import ChunkReleased
from libs.messaging.personalization import personal

#: The envelope, and what a release says besides its content and its recipients.
ENVELOPE_BYTES = 4_000
#: The envelope alone.
WIRE_BYTES = 1_500
#: What a recipient weighs besides the variables: names of members, ids, reference, position.
RECIPIENT_BYTES = 400
#: A content must leave room for this much of recipients.
MIN_RECIPIENTS_BYTES = 20_000
#: A job when it is created. What planning adds to it is small, and DynamoDB takes items of 400 KB.
MAX_JOB_BYTES = 300_000
#: One byte of a value becomes at most six: JSON writes a control character so, HTML a quotation mark.
MAX_GROWTH = 6


def recipient_bytes(contact_id: str, variables: Mapping[str, str]) -> int:
    return RECIPIENT_BYTES + len(contact_id) + encoded_bytes(dict(variables))


def content_bytes(content: Content) -> int:
    return encoded_bytes(content.model_dump(mode="json", by_alias=True, exclude_none=True))


def event_bytes(event: ChunkReleased) -> int:
    """The event as it is published, with room for the largest envelope."""
    return encoded_bytes(event.model_dump(mode="json", by_alias=True, exclude_none=True)) + WIRE_BYTES


def room_bytes(content: Content) -> int:
    """How much the recipients of one chunk may weigh together."""
    return MAX_EVENT_BYTES - ENVELOPE_BYTES - _weighed(content)[0]


def _weighed(content: Content) -> tuple[int, int]:
    """Its bytes, and how many values may stand in it. A job's content is weighed once for all its recipients."""
    if _last and _last[0][0] is content:
        return _last[0][1]
    weighed = (content_bytes(content), content.model_dump_json(exclude_none=True).count("{{"))
    _last[:] = [(content, weighed)]
    return weighed


#: The content that was weighed last.
_last: list[tuple[Content, tuple[int, int]]] = []


def unfit(content: Content, contact_id: str, variables: Mapping[str, str]) -> Refusal | None:
    """Why the values do not fit: into the event of a chunk, even alone, or into the message that they make."""
    try:
        size, room = recipient_bytes(contact_id, variables), room_bytes(content)
        if size > room:
            return _too_large("The values come", size, room)
        whole = _whole_bytes(content, variables)
    except (TypeError, ValueError):
        return Refusal(
            ErrorCode.VARIABLES_INCOMPLETE, "A value has characters that cannot be encoded. Correct the row."
        )
    maximum = MAX_EVENT_BYTES - ENVELOPE_BYTES
    return _too_large("The message with its values comes", whole, maximum) if whole > maximum else None


def _whole_bytes(content: Content, variables: Mapping[str, str]) -> int:
    """At most so much, without filling it in where the sum of what stands in it is small."""
    longest = max((len(value.encode()) for value in variables.values()), default=0)
    bare, places = _weighed(content)
    bound = bare + max(places, len(variables)) * longest * MAX_GROWTH
    return bound if bound <= MAX_EVENT_BYTES - ENVELOPE_BYTES else content_bytes(personal(content, variables))


def _too_large(what: str, size: int, maximum: int) -> Refusal:
    detail = f"{what} to {size:,} bytes; {maximum:,} can go. Shorten the values or the content."
    return Refusal(ErrorCode.VARIABLES_INCOMPLETE, detail)
