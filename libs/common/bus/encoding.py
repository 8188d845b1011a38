"""Encodes events as messages, in batches, within the limits of SNS and SQS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

from libs.common.declare.event import Envelope
from libs.common.errors import Poison
from libs.common.json_text import MAX_JSON_DEPTH, is_too_deep, sendable

BATCH_EVENTS = 100
#: The largest event, and the largest batch of them, encoded. SNS and SQS accept 262,144 bytes per message with its attributes; the
#: rest is for those, and for the fields of a dead letter.
MAX_EVENT_BYTES = 200_000


class Unpublishable(Poison):
    """An event that no topic can accept. ``bytes`` is its encoded size, 0 if it cannot be encoded."""

    def __init__(self, event_type: str, why: str, bytes: int = 0) -> None:
        super().__init__(f"{event_type}: {why}")
        self.why = why
        self.bytes = bytes


#: U+FFFE and U+FFFF share their first two bytes.
_NONCHARACTERS = b"\xef\xbf"


def encoded_bytes(value: object) -> int:
    """The maximum encoded size of a JSON value in an event: these two characters take six bytes as escapes instead of three."""
    encoded = orjson.dumps(value)
    return len(encoded) + 3 * encoded.count(_NONCHARACTERS)


def encode(envelope: Envelope) -> str:
    """Encode one event for SNS and SQS. Raises :class:`Unpublishable`."""
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
    """Encode events of one type and routing as CloudEvents batches. Returns the messages, and the events that cannot be
    encoded, each with its reason; the others are not affected.

    A single event is an object, several are a JSON array (the CloudEvents *batch* format), so that thousands of
    results do not cost thousands of requests.
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
    """Split by number and by encoded size."""
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
