"""Finds undocumented members of known messages. They are kept raw beside the event's data and counted by
``unknown_members.py``.

Each translator declares its known members (``members.py``): those that the provider documents and those in its samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.inbound.parsing.fields import Json, bounded

#: Name -> the members inside; None: the members inside are not checked.
Known = Mapping[str, "Known | None"]
#: Key in ``details`` for the unknown members: path -> value, unchanged.
UNKNOWN = "unknown"


def only(names: str = "", **inside: Known) -> dict[str, Known | None]:
    """Declares members by names separated by spaces, and members whose own members are declared too."""
    return {**dict.fromkeys(names.split()), **inside}


def unknown(source: Any, known: Known, where: str = "") -> Json:
    """Returns ``{path: value}`` of the members of an object that are not ``known``; the path includes the index in a
    list."""
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
    """Returns the part of ``details`` with the unknown members."""
    return {UNKNOWN: {path: bounded(value) for path, value in extra_members.items()}} if extra_members else {}
