"""Finds the field of a request that makes it too large or unencodable as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel

from libs.common.bus.encoding import Unpublishable
from libs.common.errors import Problem
from libs.common.store.ops import RowRefused

#: The maximum depth of a path in an error.
MAX_PATH_PARTS = 4


def too_large(request: Mapping[str, Any], error: Unpublishable | RowRefused) -> Problem:
    """The refusal of a request whose events cannot be published or whose rows cannot be stored; names the largest field."""
    named = {"field": heaviest_field(request), "detail": error.why}
    if error.bytes:
        return Problem(
            413, "REQUEST_TOO_LARGE", "What follows from this request is too large to be sent on", error.why, [named]
        )
    return Problem(422, "VALIDATION_FAILED", "The request is not as it should be", f"See: {named['field']}", [named])


def heaviest_field(request: Mapping[str, Any]) -> str:
    """The path (``content.variables``) of the smallest part that holds more than half of the bytes."""
    path: list[str] = []
    value: Any = {name: part for name, part in request.items() if name != "ctx"}
    top = True
    while len(path) < MAX_PATH_PARTS and (children := _children(value)):
        sizes = {name: _size(child) for name, child in children.items()}
        name = max(sizes, key=lambda each: sizes[each])
        if not top and sizes[name] * 2 < sum(sizes.values()):
            break
        # The body is not a field; its fields have the client's names.
        if not (top and isinstance(children[name], BaseModel)):
            path.append(name)
        value, top = children[name], False
    return ".".join(path)


def _children(value: Any) -> dict[str, Any]:
    if isinstance(value, BaseModel):
        names = {
            name: field.serialization_alias or field.alias or name for name, field in type(value).model_fields.items()
        }
        return {names[name]: getattr(value, name) for name in names if getattr(value, name) is not None}
    if isinstance(value, Mapping):
        return {str(name): child for name, child in value.items()}
    if isinstance(value, list | tuple):
        return {str(n): child for n, child in enumerate(value)}
    return {}


def _size(value: Any) -> float:
    """The encoded size; infinite if it cannot be encoded."""
    try:
        return len(orjson.dumps(value, default=_plain))
    except (TypeError, ValueError, RecursionError):
        return float("inf")


def _plain(value: Any) -> Any:
    return value.model_dump(by_alias=True) if isinstance(value, BaseModel) else str(value)
