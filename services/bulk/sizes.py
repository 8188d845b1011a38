"""What a chunk weighs in the event that carries it, as it is encoded there: names, escapes and content included. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from libs.common.event import BATCH_BYTES
from libs.messaging.checks import Refusal
from libs.messaging.content import Content
from libs.messaging.errors import ErrorCode
from libs.messaging.events.bulk import Addressee, ChunkReleased
from libs.messaging.personal import personal
from services.bulk.model import BulkRecipient

#: The largest event: what travels alone must fit where a batch fits.
MAX_EVENT_BYTES = BATCH_BYTES
#: The envelope: ids, times, who and because of what. All of it is bounded.
ENVELOPE_BYTES = 1_500
#: What the event says besides content and addressees: the job's ids, sender, pace, times.
REST_BYTES = 2_500
#: Content and addressees together.
MAX_CHUNK_BYTES = MAX_EVENT_BYTES - ENVELOPE_BYTES - REST_BYTES
#: One byte of a value becomes at most six: JSON writes a control character so, HTML a quotation mark.
_MAX_GROWTH = 6


def content_bytes(content: Content) -> int:
    """Raises ValueError for text that is no Unicode (half of a surrogate pair)."""
    return _encoded(content.model_dump(mode="json", by_alias=True, exclude_none=True))


def event_bytes(event: ChunkReleased) -> int:
    """The event as it is published, with room for the largest envelope."""
    return _encoded(event.model_dump(mode="json", by_alias=True, exclude_none=True)) + ENVELOPE_BYTES


def addressee_bytes(row: BulkRecipient) -> int:
    """What a recipient adds to its chunk, at the largest position, chunk number and attempt. Raises ValueError as above."""
    return _EMPTY_BYTES + _encoded(row.contact_id) + _encoded(row.variables)


def _encoded(value: object) -> int:
    try:
        return len(orjson.dumps(value))
    except TypeError as error:
        raise ValueError(str(error)) from None


#: An addressee whose contact and variables are counted apart, with the comma behind it.
_EMPTY_BYTES = 1 + _encoded(
    Addressee(
        position=999, message_id="-" * 36, contact_id="", ref=f"p999999.999.{'-' * 20}.9999", variables={}
    ).model_dump(mode="json", by_alias=True)
)


@dataclass(frozen=True)
class Sizes:
    """The content of one job, weighed once for all its recipients."""

    content: Content
    bytes: int
    #: How many values can stand in it.
    places: int

    @staticmethod
    def of(content: Content) -> Sizes:
        text = content.model_dump_json(exclude_none=True)
        return Sizes(content, content_bytes(content), text.count("{{"))

    @property
    def room(self) -> int:
        """Bytes that the addressees of one chunk may take."""
        return MAX_CHUNK_BYTES - self.bytes

    def refusal(self, row: BulkRecipient) -> Refusal | None:
        """Why a recipient cannot go even in a chunk of its own, or its message cannot be stored and sent."""
        try:
            mine = addressee_bytes(row)
            if mine > self.room:
                return _too_large("The values", mine, self.room)
            longest = max((len(value.encode()) for value in row.variables.values()), default=0)
            if self.bytes + max(self.places, len(row.variables)) * longest * _MAX_GROWTH > MAX_CHUNK_BYTES:
                whole = content_bytes(personal(self.content, row.variables))
                if whole > MAX_CHUNK_BYTES:
                    return _too_large("The message with its values", whole, MAX_CHUNK_BYTES)
        except ValueError:
            return Refusal(ErrorCode.INVALID_CONTENT, "A value has characters that cannot be encoded. Correct the row.")
        return None


def _too_large(what: str, size: int, most: int) -> Refusal:
    detail = f"{what} would be {size:,} bytes; {most:,} can go. Shorten the values or the content."
    return Refusal(ErrorCode.INVALID_CONTENT, detail)
