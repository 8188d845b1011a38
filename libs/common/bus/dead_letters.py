"""The wire format of dead letters: JSON with the whole record, so that it can be read and replayed."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import io
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from libs.common.bus.base import DeadLetter, Record
from libs.common.clock import iso
from libs.common.declare.event import unpack
from libs.common.errors import Malformed
from libs.common.json_text import is_too_deep, names_in, read_json, write_json

#: The cause of messages that SQS's redrive moved: no process recorded a cause (e.g. each receive killed it).
UNHANDLED = "unhandled"
#: SQS takes 262,144 bytes with the attributes; a body with escaped quotes can be larger than the record.
MAX_LETTER_BYTES = 250_000
#: The SQS limit since 2025.
MAX_RECORD_BYTES = 1024 * 1024
#: A body that is too large even when compressed is truncated to this length.
KEPT_CHARACTERS = 100_000
_CAMEL_NAMES = {
    "event_id": "eventId",
    "event_type": "eventType",
    "correlation_id": "correlationId",
    "died_at": "diedAt",
}


def to_body(dead_letter: DeadLetter) -> str:
    """The body of the message on the dead-letter queue."""
    fields: dict[str, Any] = {
        f.name: getattr(dead_letter, f.name) for f in dataclasses.fields(dead_letter) if f.name != "record"
    }
    record = dead_letter.record
    fields["died_at"] = iso(dead_letter.died_at) if dead_letter.died_at else None
    body = _written(fields, record, {"body": record.body})
    if len(body.encode("utf-8", "replace")) > MAX_LETTER_BYTES:
        packed = base64.b64encode(gzip.compress(record.body.encode("utf-8", "surrogatepass"), mtime=0)).decode()
        body = _written(fields, record, {"bodyGzip": packed})
    if len(body.encode("utf-8", "replace")) > MAX_LETTER_BYTES:
        note = f"{fields['text']} (Only the first {KEPT_CHARACTERS} of {len(record.body)} characters are kept.)"
        cut = record.body[:KEPT_CHARACTERS].encode("ascii", "backslashreplace").decode()[:KEPT_CHARACTERS]
        body = _written({**fields, "text": note}, record, {"body": cut})
    return body


def _written(fields: dict[str, Any], record: Record, content: dict[str, str]) -> str:
    fields = dict(fields)
    fields["record"] = {
        "id": record.id,
        **content,
        "attributes": record.attributes,
        "receiveCount": record.receive_count,
        "sentAt": iso(record.sent_at) if record.sent_at else None,
        "firstReceivedAt": iso(record.first_received_at) if record.first_received_at else None,
    }
    return write_json({_CAMEL_NAMES.get(k, k): v for k, v in fields.items() if v is not None})


def of_record(record: Record, queue: str) -> list[DeadLetter]:
    """The dead letters in one message of the dead-letter queue of ``queue``: the one that we wrote, or, for a message that SQS
    moved, one per event in it."""
    try:
        parsed = read_json(record.body)
        if isinstance(parsed, dict) and parsed.get("queue") == queue and "cause" in parsed and "record" in parsed:
            return [_from_our_json(parsed)]
    except Exception:  # noqa: S110 - whatever cannot be read as ours is kept as it came
        pass
    return _from_redrive(record, queue)


def _from_our_json(parsed: dict[str, Any]) -> DeadLetter:
    """Raises what of_record catches if the message only resembles one of ours."""
    inner = parsed["record"]
    record = {
        "queue": parsed["queue"],
        "id": inner["id"],
        "body": _body(inner),
        "attributes": inner.get("attributes") or {},
        "receive_count": inner.get("receiveCount", 1),
        "sent_at": _timestamp(inner.get("sentAt")),
        "first_received_at": _timestamp(inner.get("firstReceivedAt")),
    }
    return _LETTER.validate_python(
        {
            **{name: parsed.get(name) or "" for name in _TEXT_FIELDS},
            "record": record,
            "event_id": parsed.get("eventId"),
            "event_type": parsed.get("eventType"),
            "correlation_id": parsed.get("correlationId"),
            "died_at": _timestamp(parsed.get("diedAt")),
        }
    )


def _body(inner: dict[str, Any]) -> Any:
    if "bodyGzip" in inner:
        return _unpacked(base64.b64decode(inner["bodyGzip"])).decode("utf-8", "surrogatepass")
    return inner["body"]


def _unpacked(data: bytes) -> bytes:
    """Bounded by the size of a record: a small compressed text can expand to any size."""
    with gzip.open(io.BytesIO(data)) as file:
        found = file.read(MAX_RECORD_BYTES + 1)
    if len(found) > MAX_RECORD_BYTES:
        raise ValueError("larger than any record")
    return found


_LETTER = TypeAdapter(DeadLetter)
_TEXT_FIELDS = ("cause", "exception", "text", "queue", "service", "handler", "build")


def _from_redrive(record: Record, queue: str) -> list[DeadLetter]:
    try:
        wires = unpack(record.body)
    except Malformed:
        wires = []
    if len(wires) == 1 or not wires:
        return [_unhandled(record, queue, record.body, wires[0] if wires else None)]
    if any(is_too_deep(wire) for wire in wires):
        # A record that cannot be encoded is stored unchanged: consumers recognise duplicates by their ids.
        return [_unhandled(record, queue, record.body, None)]
    return [_unhandled(record, queue, write_json(wire), wire) for wire in wires]


def _unhandled(record: Record, queue: str, body: str, wire: Any) -> DeadLetter:
    return DeadLetter(
        cause=UNHANDLED,
        exception="",
        text="SQS gave up on it: it was received again and again and nobody finished it or said why.",
        queue=queue,
        service="",
        handler="",
        build="",
        record=dataclasses.replace(record, queue=queue, body=body, handle=""),
        died_at=record.first_received_at,
        **names_in(wire),
    )


def _timestamp(text: str | None) -> datetime | None:
    moment = datetime.fromisoformat(text) if text else None
    if moment is not None and moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return moment
