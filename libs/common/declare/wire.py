"""What goes over the wire besides events and items: camelCase there, snake_case here."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

T = TypeVar("T", bound=BaseModel)


class Body(BaseModel):
    """What a request says. A member that is not known is refused: it is a mistake that somebody wants to hear of."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class TrimmedBody(Body):
    """As people type it: space around a text does not count."""

    model_config = ConfigDict(str_strip_whitespace=True)


class View(BaseModel):
    """What an answer shows; it can be read off an item (``View.model_validate(item)``)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class PageView(View, Generic[T]):
    """One page of a list; ``cursor`` asks for the next, none on the last. A subclass gives it a name in the API."""

    items: list[T]
    cursor: str | None = None


class Part(BaseModel):
    """A part of an item or event. What a newer build wrote besides is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)
