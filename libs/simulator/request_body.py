"""The JSON body of a control request, read member by member: every complaint names the member."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.simulator.errors import ControlError


class RequestBody:
    """`done()` complains about members that nobody asked for: a misspelt option must not pass in silence."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.asked: set[str] = set()

    def get(self, name: str) -> Any:
        self.asked.add(name)
        return self.body.get(name)

    def text(self, name: str, required: bool = False) -> str | None:
        value = self.get(name)
        if value is None and not required:
            return None
        if not isinstance(value, str):
            raise ControlError(name, "is required and must be a string" if value is None else "must be a string")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise ControlError(name, "must be true or false")
        return default if value is None else value

    def count(self, name: str, default: int, maximum: int) -> int:
        value = self.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
            raise ControlError(name, f"must be a whole number from 1 to {maximum}")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ControlError(name, f"must be a number from {low:g} to {high:g}")
        return float(value)

    def choice(self, name: str, allowed: Sequence[str], default: str | None = None) -> str:
        value = self.get(name)
        if value is None and default is not None:
            return default
        if value not in allowed:
            raise ControlError(name, f"must be one of {', '.join(allowed)}")
        return str(value)

    def texts(self, name: str, default: list[str] | None = None) -> list[str]:
        value = self.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise ControlError(name, "must be a list of strings")
        return value

    def done(self) -> None:
        for name in self.body:
            if name not in self.asked:
                raise ControlError(name, f"is not known here; known are {', '.join(sorted(self.asked))}")
