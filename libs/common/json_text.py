"""Reads untrusted JSON with a bounded depth, and writes JSON within the character set of SQS."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from libs.common.errors import Malformed

#: Levels of objects and arrays. Valid events and requests have far fewer; deeper JSON is malformed.
MAX_JSON_DEPTH = 60
TOO_DEEP = f"JSON nested deeper than {MAX_JSON_DEPTH} levels"
#: Longer than any valid id, type or trace; a longer one cannot be a key.
MAX_NAME_CHARACTERS = 200
#: SQS refuses a message with one of these two (*SendMessage*, "A message can include only XML, JSON, and unformatted text"), and
#: a lone surrogate is not valid UTF-8; JSON escapes all other characters outside its set.
_UNSENDABLE = re.compile("[\ud800-\udfff\ufffe\uffff]")


def read_json(text: str | bytes) -> Any:
    """Parse JSON. A lone surrogate, as some phones send it, becomes a question mark. Raises :class:`Malformed` for invalid
    JSON, or if nested deeper than :data:`MAX_JSON_DEPTH`."""
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
    """The objects and arrays, level by level, without recursion."""
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
    """Compact JSON that SQS accepts. Raises ValueError, TypeError or RecursionError for a value that cannot be encoded."""
    return sendable(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def sendable(text: str) -> str:
    """JSON with escaped characters where SQS refuses them; a lone surrogate becomes a replacement character."""
    return _UNSENDABLE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return {"\ufffe": "\\ufffe", "\uffff": "\\uffff"}.get(found[0], "\ufffd")


def name_in(wire: Any, member: str) -> str | None:
    """A short text among the members of an object; None for anything else."""
    found = wire.get(member) if isinstance(wire, dict) else None
    return found if isinstance(found, str) and 0 < len(found) <= MAX_NAME_CHARACTERS else None


def names_in(wire: Any) -> dict[str, str]:
    """The metadata of an event that may be invalid."""
    members = {"event_id": "id", "event_type": "type", "correlation_id": "correlationid"}
    found = {name: name_in(wire, member) for name, member in members.items()}
    return {name: value for name, value in found.items() if value is not None}
