"""Every row that can be written can be read again."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from types import NoneType
from typing import Any

import pytest
from pydantic import BaseModel

from libs.common.declare.discover import discover
from libs.common.declare.topology import owned
from libs.common.store.item import Item

ITEMS = sorted({item for service in discover() for item in owned(service)}, key=lambda item: item.__qualname__)


def inside(annotation: Any) -> Iterator[Any]:
    """An annotation and all that it is made of."""
    yield annotation
    for part in typing.get_args(annotation):
        yield from inside(part)


def models(root: type[BaseModel]) -> set[type[BaseModel]]:
    found, waiting = set(), [root]
    while waiting:
        model = waiting.pop()
        if model not in found:
            found.add(model)
            parts = (part for field in model.model_fields.values() for part in inside(field.annotation))
            waiting += [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
    return found


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.__qualname__)
def test_a_field_that_may_be_empty_is_read_as_empty_when_its_row_lacks_it(item: type[Item]) -> None:
    """A field that is None is not written: it needs a default, or the row cannot be read."""
    missing = [
        f"{model.__qualname__}.{name}"
        for model in models(item)
        for name, field in model.model_fields.items()
        if field.is_required() and NoneType in inside(field.annotation)
    ]
    assert missing == []
