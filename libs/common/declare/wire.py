"""Base classes of request and answer bodies: camelCase on the wire, snake_case in Python."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

T = TypeVar("T", bound=BaseModel)


class Body(BaseModel):
    """A request body. An unknown member is refused, because it is a mistake of the client."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class TrimmedBody(Body):
    """A request body whose texts are trimmed."""

    model_config = ConfigDict(str_strip_whitespace=True)


class View(BaseModel):
    """An answer body; it can be built from an item (``View.model_validate(item)``)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class PageView(View, Generic[T]):
    """One page of a list; ``cursor`` asks for the next, none on the last. A subclass gives it a name in the API."""

    items: list[T]
    cursor: str | None = None


class Part(BaseModel):
    """A part of an item or event. Members of newer builds are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)
