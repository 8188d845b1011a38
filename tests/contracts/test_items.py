"""Every row that can be written can be read: what is None is not written, so it has to be absent without harm."""

from __future__ import annotations

import typing
from collections.abc import Iterator

from pydantic import BaseModel

from libs.common.discover import discover
from libs.common.topology import owned


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from models_in(argument)


def unreadable(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    """Fields that may be None and must be there, here and in what the row holds."""
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        if type(None) in typing.get_args(field.annotation) and field.is_required():
            yield f"{model.__name__}.{name}"
        for inner in models_in(field.annotation):
            yield from unreadable(inner, seen)


def test_a_row_written_can_be_read_whatever_optional_fields_are_empty() -> None:
    seen: set[type[BaseModel]] = set()
    items = [item for service in discover() for item in owned(service)]
    assert len(items) > 30
    assert [wrong for item in items for wrong in unreadable(item, seen)] == []
