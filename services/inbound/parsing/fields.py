"""Reads a provider's JSON: required fields must exist and have their type; Malformed names the field otherwise.

``where`` is the path so far, for the reason on the dead letter; it never includes values, which may be personal.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from libs.common.errors import Malformed
from libs.common.json_text import read_json

Json = dict[str, Any]

#: Maximum size of a raw value in an event, so that the event can be published.
MAX_RAW_BYTES = 30_000

#: Seconds above this would be the year 5138: the provider gave milliseconds.
_SURELY_MILLISECONDS = 100_000_000_000


def parsed(text: Any, where: str) -> Json:
    """Returns the JSON object in ``text``."""
    try:
        value = read_json(text) if isinstance(text, str | bytes) else text
    except Malformed as error:
        raise Malformed(f"{where}: {error}") from None
    if not isinstance(value, dict):
        raise Malformed(f"{where}: not a JSON object")
    return value


def objects(source: Json, name: str, where: str) -> list[Json]:
    """Returns a list of objects; absent or null is empty."""
    found = source.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Malformed(f"{where}.{name}: not a list of objects")
    return found


def an_object(source: Json, name: str, where: str) -> Json:
    """Returns an object; absent or null is empty."""
    found = source.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Malformed(f"{where}.{name}: not an object")
    return found


def needed(source: Json, name: str, where: str) -> str:
    """Returns text that is required."""
    found = source.get(name)
    if not isinstance(found, str) or not found:
        raise Malformed(f"{where}.{name}: missing or not text")
    return found


def optional(source: Json, name: str) -> str | None:
    """Returns text, or None for anything else (absent, null, empty, another type)."""
    found = source.get(name)
    return found if isinstance(found, str) and found else None


def moment(source: Json, name: str, where: str) -> datetime:
    """Parses Unix seconds, as text or a number; milliseconds are recognised by their size."""
    try:
        number = int(source[name])
        if number > _SURELY_MILLISECONDS:
            return datetime.fromtimestamp(number / 1000, UTC)
        return datetime.fromtimestamp(number, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise Malformed(f"{where}.{name}: missing or not Unix seconds") from None


def iso_moment(source: Json, name: str, where: str) -> datetime:
    """Parses a time in ISO 8601 to an aware time; without an offset it is UTC."""
    try:
        found = datetime.fromisoformat(source[name])
    except (KeyError, TypeError, ValueError):
        raise Malformed(f"{where}.{name}: missing or not a time in ISO 8601") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def bounded(value: Any) -> Any:
    """Returns the value unchanged or, if it is larger than :data:`MAX_RAW_BYTES`, its size and its beginning."""
    written = json.dumps(value, ensure_ascii=False)
    size = len(written.encode("utf-8", "replace"))
    return value if size <= MAX_RAW_BYTES else {"cutFromBytes": size, "start": written[:1000]}
