"""Members of known messages that no documentation names: found here, kept raw beside what is recorded, counted by ``unknown_members.py``.

What is known each translator declares beside itself (``members.py``): what the provider documents and what its samples carry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.inbound.parsing.fields import Json, bounded

#: Name -> the members inside; None: whatever is inside is known, or its owner's own.
Known = Mapping[str, "Known | None"]
#: Where they lie in ``details``: path -> value, as it came.
UNKNOWN = "unknown"


def only(names: str = "", **inside: Known) -> dict[str, Known | None]:
    """These members, by spaces, and those whose own members are known, too."""
    return {**dict.fromkeys(names.split()), **inside}


def unknown(source: Any, known: Known, where: str = "") -> Json:
    """``{path: value}`` of what is not ``known`` in an object; in a list of objects the path has the place."""
    if isinstance(source, list):
        return {
            path: value for n, part in enumerate(source) for path, value in unknown(part, known, f"{where}.{n}").items()
        }
    found: Json = {}
    for name, value in source.items() if isinstance(source, dict) else ():
        path = f"{where}.{name}" if where else name
        inside = known.get(name)
        if name not in known:
            found[path] = value
        elif inside is not None:
            found |= unknown(value, inside, path)
    return found


def with_unknown_members(extra_members: Json) -> Json:
    """The part of ``details`` that holds them."""
    return {UNKNOWN: {path: bounded(value) for path, value in extra_members.items()}} if extra_members else {}
