"""What a process remembers of what it did a moment ago. Nobody may rely on it: another process may have done it, or done more since."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class LruCache(dict[K, V]):
    """A dictionary that keeps the last ``maximum`` keys; what came first goes first."""

    def __init__(self, maximum: int) -> None:
        super().__init__()
        self._maximum = maximum

    def keep(self, key: K, value: V) -> None:
        if key not in self and len(self) >= self._maximum:
            del self[next(iter(self))]
        self[key] = value
