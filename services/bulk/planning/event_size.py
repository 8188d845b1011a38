"""The size of a chunk as an event. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from libs.common.bus.encoding import MAX_EVENT_BYTES, encoded_bytes
from libs.messaging.checks import Refusal
from libs.messaging.content import Content
from libs.messaging.errors import ErrorCode
from libs.messaging.events.bulk import ChunkReleased
from libs.messaging.personalization import personal

#: The envelope, and the fields of a release besides its content and its recipients.
ENVELOPE_BYTES = 4_000
#: The envelope alone.
WIRE_BYTES = 1_500
#: The size of a recipient without its variables: field names, ids, reference, position.
RECIPIENT_BYTES = 400
#: A content must leave at least this many bytes for recipients.
MIN_RECIPIENTS_BYTES = 20_000
#: Maximum size of a job when it is created. Planning adds little, and DynamoDB limits items to 400 KB.
MAX_JOB_BYTES = 300_000
#: One byte of a value becomes at most six: JSON escapes a control character to six bytes, HTML a quotation mark.
MAX_GROWTH = 6


def recipient_bytes(contact_id: str, variables: Mapping[str, str]) -> int:
    return RECIPIENT_BYTES + len(contact_id) + encoded_bytes(dict(variables))


def content_bytes(content: Content) -> int:
    return encoded_bytes(content.model_dump(mode="json", by_alias=True, exclude_none=True))


def event_bytes(event: ChunkReleased) -> int:
    """Returns the size of the published event, with the largest possible envelope."""
    return encoded_bytes(event.model_dump(mode="json", by_alias=True, exclude_none=True)) + WIRE_BYTES


def room_bytes(content: Content) -> int:
    """Returns the maximum size of all recipients of one chunk."""
    return MAX_EVENT_BYTES - ENVELOPE_BYTES - _weighed(content)[0]


def _weighed(content: Content) -> tuple[int, int]:
    """Returns the size of the content, and the number of values it can contain. Computed once for all recipients of a
    job."""
    if _last and _last[0][0] is content:
        return _last[0][1]
    weighed = (content_bytes(content), content.model_dump_json(exclude_none=True).count("{{"))
    _last[:] = [(content, weighed)]
    return weighed


#: The last content measured (a cache of one).
_last: list[tuple[Content, tuple[int, int]]] = []


def unfit(content: Content, contact_id: str, variables: Mapping[str, str]) -> Refusal | None:
    """Returns why the values do not fit: into the event of a chunk with this recipient only, or into the rendered
    message."""
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
    """Returns an upper bound of the size; renders the content only if the sum of its parts is not small enough."""
    longest = max((len(value.encode()) for value in variables.values()), default=0)
    bare, places = _weighed(content)
    bound = bare + max(places, len(variables)) * longest * MAX_GROWTH
    return bound if bound <= MAX_EVENT_BYTES - ENVELOPE_BYTES else content_bytes(personal(content, variables))


def _too_large(what: str, size: int, maximum: int) -> Refusal:
    detail = f"{what} to {size:,} bytes; {maximum:,} can go. Shorten the values or the content."
    return Refusal(ErrorCode.VARIABLES_INCOMPLETE, detail)
