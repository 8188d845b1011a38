"""Reading a provider's JSON: what must be there is there and of its type, or Malformed says which field is not.

``where`` is the path so far, for the reason on the dead letter; values are never part of it, they may be personal.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson

from libs.common.errors import Malformed

Json = dict[str, Any]

#: Seconds after this would be the year 5138: the provider gave milliseconds.
_SURELY_MILLISECONDS = 100_000_000_000


def parsed(text: Any, where: str) -> Json:
    """The JSON object in ``text``."""
    try:
        value = orjson.loads(text) if "\\u" not in text else _mended(text)
    except (TypeError, ValueError, RecursionError):
        raise Malformed(f"{where}: not JSON") from None
    if not isinstance(value, dict):
        raise Malformed(f"{where}: not a JSON object")
    return value


def _mended(text: str) -> Any:
    """Half an emoji, as phones cut them off, is read as a question mark: nothing after us could write it down."""
    value = json.loads(text, parse_constant=_no_number)
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _no_number(word: str) -> None:
    raise ValueError(word)


def objects(source: Json, name: str, where: str) -> list[Json]:
    """A list of objects; absent or null is empty."""
    found = source.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Malformed(f"{where}.{name}: not a list of objects")
    return found


def an_object(source: Json, name: str, where: str) -> Json:
    """An object; absent or null is empty."""
    found = source.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Malformed(f"{where}.{name}: not an object")
    return found


def needed(source: Json, name: str, where: str) -> str:
    """Text that must be there."""
    found = source.get(name)
    if not isinstance(found, str) or not found:
        raise Malformed(f"{where}.{name}: missing or not text")
    return found


def optional(source: Json, name: str) -> str | None:
    """Text, or None for anything else (absent, null, empty, another type)."""
    found = source.get(name)
    return found if isinstance(found, str) and found else None


def moment(source: Json, name: str, where: str) -> datetime:
    """Unix seconds, as text or a number; milliseconds are recognised by their size."""
    try:
        number = int(source[name])
        if number > _SURELY_MILLISECONDS:
            return datetime.fromtimestamp(number / 1000, UTC)
        return datetime.fromtimestamp(number, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise Malformed(f"{where}.{name}: missing or not Unix seconds") from None


def iso_moment(source: Json, name: str, where: str) -> datetime:
    """A time in ISO 8601, aware; without an offset it is UTC."""
    try:
        found = datetime.fromisoformat(source[name])
    except (KeyError, TypeError, ValueError):
        raise Malformed(f"{where}.{name}: missing or not a time in ISO 8601") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
