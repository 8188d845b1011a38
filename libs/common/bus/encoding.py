"""Events as messages: encoded within the limits of SNS and SQS, many to a message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

from libs.common.declare.event import Envelope
from libs.common.errors import Poison
from libs.common.json_text import MAX_JSON_DEPTH, is_too_deep, sendable

BATCH_EVENTS = 100
#: The largest event, and the largest batch of them, encoded. SNS and SQS take 262,144 bytes a message with its attributes; the
#: rest is for those, and for what a dead letter adds.
MAX_EVENT_BYTES = 200_000


class Unpublishable(Poison):
    """An event that no topic takes, however often it is tried. ``bytes`` is its encoded size, 0 where it cannot be encoded."""

    def __init__(self, event_type: str, why: str, bytes: int = 0) -> None:
        super().__init__(f"{event_type}: {why}")
        self.why = why
        self.bytes = bytes


#: U+FFFE and U+FFFF share their first two bytes.
_NONCHARACTERS = b"\xef\xbf"


def encoded_bytes(value: object) -> int:
    """The most that a JSON value comes to in an event: the two characters are six bytes as escapes instead of three."""
    encoded = orjson.dumps(value)
    return len(encoded) + 3 * encoded.count(_NONCHARACTERS)


def encode(envelope: Envelope) -> str:
    """One event as SNS and SQS take it. Raises :class:`Unpublishable`."""
    kind = envelope.type
    try:
        wire = envelope.to_wire()
        encoded = orjson.dumps(wire)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unpublishable(kind, f"it cannot be written as JSON ({error})") from None
    text = encoded.decode()
    if _NONCHARACTERS in encoded:
        text = sendable(text)
        encoded = text.encode()
    if len(encoded) > MAX_EVENT_BYTES:
        raise Unpublishable(kind, f"it is {len(encoded)} bytes; {MAX_EVENT_BYTES} are possible", len(encoded))
    if encoded.count(b"{") + encoded.count(b"[") > MAX_JSON_DEPTH and is_too_deep(wire):
        raise Unpublishable(kind, f"it is nested deeper than {MAX_JSON_DEPTH} levels")
    return text


@dataclass(frozen=True)
class Packed:
    """One message: a CloudEvents object or batch, and the events in it."""

    attributes: dict[str, str]
    body: str
    events: list[Envelope]


def pack(envelopes: Sequence[Envelope]) -> tuple[list[Packed], list[tuple[Envelope, Unpublishable]]]:
    """Put events of one type and routing into CloudEvents batches; returns the messages, and the events that no message can
    carry, each with its reason: those that travel with them are not affected.

    A lone event travels as an object, several as a JSON array (the CloudEvents *batch* format), so that
    thousands of results do not cost thousands of requests.
    """
    groups: dict[tuple[tuple[str, str], ...], list[tuple[Envelope, str]]] = {}
    refused: list[tuple[Envelope, Unpublishable]] = []
    for envelope in envelopes:
        try:
            text = encode(envelope)
        except Unpublishable as error:
            refused.append((envelope, error))
            continue
        groups.setdefault(tuple(sorted(envelope.attributes().items())), []).append((envelope, text))
    return [
        Packed(dict(attributes), _body([text for _, text in batch]), [envelope for envelope, _ in batch])
        for attributes, members in groups.items()
        for batch in _batches(members)
    ], refused


def _batches(members: list[tuple[Envelope, str]]) -> Iterable[list[tuple[Envelope, str]]]:
    """Cut by number and by encoded size."""
    batch: list[tuple[Envelope, str]] = []
    size = 2
    for envelope, text in members:
        cost = len(text.encode()) + 1
        if batch and (len(batch) == BATCH_EVENTS or size + cost > MAX_EVENT_BYTES):
            yield batch
            batch, size = [], 2
        batch.append((envelope, text))
        size += cost
    yield batch


def _body(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else "[" + ",".join(texts) + "]"
