"""Validation functions built from botocore's shapes: required, type, enum, pattern, min, max, union arity."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken constraint: `path` is the member (`Content.Simple.Subject`), `message` the error."""

    path: str
    message: str


Check = Callable[[Any, str, list[Problem]], Any]
"""(wire value, path, problems to append to) -> the value as the operation sees it (blobs decoded)."""


class Compiler:
    """Turns botocore shapes into check functions, once per shape (shapes may be recursive)."""

    def __init__(self) -> None:
        self.known: dict[str, Check] = {}

    def compile(self, shape: Any) -> Check:
        # The cell ends recursion: it exists before the members of the shape are visited.
        key = f"{shape.name}:{shape.type_name}"
        if key in self.known:
            return self.known[key]
        cell: list[Check] = []

        def later(value: Any, path: str, problems: list[Problem]) -> Any:
            return cell[0](value, path, problems)

        self.known[key] = later
        makers = {"structure": self._structure, "list": self._list, "map": self._map}
        cell.append(makers.get(shape.type_name, self._scalar)(shape))
        self.known[key] = cell[0]
        return cell[0]

    def _structure(self, shape: Any) -> Check:
        members = {wire_name(n, m): (n, self.compile(m)) for n, m in shape.members.items()}
        required = tuple(shape.required_members)
        union = bool(getattr(shape, "is_tagged_union", False))

        def check(value: Any, path: str, problems: list[Problem]) -> Any:
            if not isinstance(value, dict):
                problems.append(Problem(path, "must be a structure"))
                return value
            found: dict[str, Any] = {}
            for key, item in value.items():
                known = members.get(key)
                if known is not None and item is not None:
                    found[known[0]] = known[1](item, f"{path}.{key}" if path else key, problems)
            for name in required:
                if name not in found:
                    problems.append(Problem(f"{path}.{name}" if path else name, "must not be null"))
            if union and len(value) != 1:
                problems.append(Problem(path, "must have exactly one member set"))
            return found

        return check

    def _list(self, shape: Any) -> Check:
        item_check = self.compile(shape.member)
        sized = size_check(shape.metadata, "length")

        def check(value: Any, path: str, problems: list[Problem]) -> Any:
            if not isinstance(value, list):
                problems.append(Problem(path, "must be a list"))
                return value
            sized(len(value), path, problems)
            return [item_check(item, f"{path}.{i + 1}.member", problems) for i, item in enumerate(value)]

        return check

    def _map(self, shape: Any) -> Check:
        key_check, value_check = self.compile(shape.key), self.compile(shape.value)
        sized = size_check(shape.metadata, "length")

        def check(value: Any, path: str, problems: list[Problem]) -> Any:
            if not isinstance(value, dict):
                problems.append(Problem(path, "must be a map"))
                return value
            sized(len(value), path, problems)
            for key in value:
                key_check(key, f"{path}.{key}.key", problems)
            return {k: value_check(v, f"{path}.{k}", problems) for k, v in value.items()}

        return check

    def _scalar(self, shape: Any) -> Check:
        return {"string": string_check, "blob": blob_check, "boolean": boolean_check, "timestamp": time_check}.get(
            shape.type_name, number_check
        )(shape)


def wire_name(name: str, shape: Any) -> str:
    """The member's name in JSON: the model's `locationName` where there is one in the body."""
    if shape.serialization.get("location") is None:
        return str(shape.serialization.get("name", name))
    return name


def size_check(metadata: Mapping[str, Any], what: str) -> Callable[[float, str, list[Problem]], None]:
    low, high = metadata.get("min"), metadata.get("max")

    def check(size: float, path: str, problems: list[Problem]) -> None:
        if low is not None and size < low:
            problems.append(Problem(path, f"must have {what} greater than or equal to {low}"))
        if high is not None and size > high:
            problems.append(Problem(path, f"must have {what} less than or equal to {high}"))

    return check


def string_check(shape: Any) -> Check:
    enum = frozenset(shape.enum or ())
    pattern = re.compile(shape.metadata["pattern"]) if shape.metadata.get("pattern") else None
    sized = size_check(shape.metadata, "length")

    def check(value: Any, path: str, problems: list[Problem]) -> Any:
        if not isinstance(value, str):
            problems.append(Problem(path, "must be a string"))
            return value
        sized(len(value), path, problems)
        if enum and value not in enum:
            problems.append(Problem(path, f"must satisfy enum value set: [{', '.join(sorted(enum))}]"))
        if pattern is not None and not pattern.fullmatch(value):
            problems.append(Problem(path, f"must satisfy regular expression pattern: {pattern.pattern}"))
        return value

    return check


def blob_check(shape: Any) -> Check:
    sized = size_check(shape.metadata, "length")

    def check(value: Any, path: str, problems: list[Problem]) -> Any:
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError):
            problems.append(Problem(path, "must be base64"))
            return b""
        sized(len(data), path, problems)
        return data

    return check


def boolean_check(shape: Any) -> Check:
    def check(value: Any, path: str, problems: list[Problem]) -> Any:
        if not isinstance(value, bool):
            problems.append(Problem(path, "must be a boolean"))
        return value

    return check


def time_check(shape: Any) -> Check:
    def check(value: Any, path: str, problems: list[Problem]) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            problems.append(Problem(path, "must be a timestamp"))
        return value

    return check


def number_check(shape: Any) -> Check:
    sized = size_check(shape.metadata, "value")
    whole = shape.type_name in ("integer", "long")

    def check(value: Any, path: str, problems: list[Problem]) -> Any:
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            problems.append(Problem(path, "must be a number" if not whole else "must be an integer"))
            return value
        sized(value, path, problems)
        return value

    return check
