"""One value per store (a process has one store; tests have several): created at the first use, dropped with the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from libs.common.store.ops import Store

V = TypeVar("V")


class PerStore(Generic[V]):
    """``of(store)`` is the value that ``make()`` returned for that store."""

    def __init__(self, make: Callable[[], V]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[Store, V] = WeakKeyDictionary()

    def of(self, store: Store) -> V:
        found = self._made.get(store)
        if found is None:
            found = self._made[store] = self._make()
        return found
