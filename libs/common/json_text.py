"""JSON from outside, read so that no text can exhaust the stack of whoever handles it later, and written so that SQS takes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from libs.common.errors import Malformed

#: Levels of objects and arrays. No event, provider or request of ours comes near; what is deeper is malformed.
MAX_JSON_DEPTH = 60
TOO_DEEP = f"JSON nested deeper than {MAX_JSON_DEPTH} levels"
#: Longer than any id, type or trace of ours. What is longer would be kept a second time beside its event, and be no good as a key.
MAX_NAME_CHARACTERS = 200
#: SQS refuses a message with one of these two (*SendMessage*, "A message can include only XML, JSON, and unformatted text"), and
#: half a surrogate pair is no UTF-8; all others outside its set are escaped by JSON anyway.
_UNSENDABLE = re.compile("[\ud800-\udfff\ufffe\uffff]")


def read_json(text: str | bytes) -> Any:
    """The value. Half a surrogate pair, as phones cut it off, becomes a question mark. Raises :class:`Malformed` for what is
    not JSON, or nested deeper than :data:`MAX_JSON_DEPTH`."""
    try:
        value = orjson.loads(text)
    except (TypeError, ValueError) as error:
        if "ecursion" in str(error):
            raise Malformed(TOO_DEEP) from None
        value = _without_surrogates(text)
    if is_too_deep(value):
        raise Malformed(TOO_DEEP)
    return value


def _without_surrogates(text: str | bytes) -> Any:
    """A second reading, for escapes such as ``\\ud83d`` alone, which orjson refuses."""
    escape = b"\\u" if isinstance(text, bytes) else "\\u"
    try:
        if escape not in text:  # type: ignore[operator]
            raise ValueError("not JSON")
        value = json.loads(text, parse_constant=_no_number)
        return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError:
        raise Malformed(TOO_DEEP) from None
    except (TypeError, ValueError):
        raise Malformed("not JSON") from None


def _no_number(word: str) -> None:
    raise ValueError(word)


def is_too_deep(value: Any, limit: int = MAX_JSON_DEPTH) -> bool:
    """Whether it is nested deeper than ``limit`` levels."""
    return next(islice(levels(value), limit, None), None) is not None


def levels(value: Any) -> Iterator[list[Any]]:
    """Its objects and arrays, level by level, without recursion."""
    level = [value] if isinstance(value, dict | list) else []
    while level:
        yield level
        level = [
            child
            for each in level
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]


def write_json(value: Any) -> str:
    """Compact JSON that SQS takes. Raises ValueError, TypeError or RecursionError for what cannot be written."""
    return sendable(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def sendable(text: str) -> str:
    """JSON with what SQS refuses escaped; half a surrogate pair becomes a replacement character."""
    return _UNSENDABLE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return {"\ufffe": "\\ufffe", "\uffff": "\\uffff"}.get(found[0], "\ufffd")


def name_in(wire: Any, member: str) -> str | None:
    """A short text among the members of an object; None for anything else."""
    found = wire.get(member) if isinstance(wire, dict) else None
    return found if isinstance(found, str) and 0 < len(found) <= MAX_NAME_CHARACTERS else None


def names_in(wire: Any) -> dict[str, str]:
    """What can be told about an event even if it could not be read."""
    members = {"event_id": "id", "event_type": "type", "correlation_id": "correlationid"}
    found = {name: name_in(wire, member) for name, member in members.items()}
    return {name: value for name, value in found.items() if value is not None}
