"""JSON from outside, read so that no text can exhaust the stack of whoever handles it later."""

from __future__ import annotations

import json
from typing import Any

import orjson

from libs.common.errors import Malformed

#: Levels of objects and arrays. No event, provider or request of ours comes near; what is deeper is malformed.
MAX_JSON_DEPTH = 60
TOO_DEEP = f"JSON nested deeper than {MAX_JSON_DEPTH} levels"


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
    """Whether it is nested deeper than ``limit`` levels. Goes level by level, without recursion."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        if not level:
            return False
        level = [
            child
            for each in level
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]
    return bool(level)
