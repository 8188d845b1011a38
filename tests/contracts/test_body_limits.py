"""Each route's limit of a body is one that every body fits which its model takes."""

from __future__ import annotations

import json
import math
import typing
from typing import Any

import pytest
from pydantic import TypeAdapter

from libs.common.declare.discover import ROOT, discover
from libs.common.hosts.http.routes import DEFAULT_MAX_BODY_BYTES, EMPTY_MAX_BODY_BYTES, Api, Route

ROUTES = [
    route
    for service in discover()
    if isinstance(service.serves, Api)
    for route in service.serves.routes
    if route.method != "GET"
]
#: What a text without a length of its own is taken for, if it has a pattern or a format: a language, a time.
MAX_WORD_BYTES = 600


def largest(schema: dict[str, Any], known: dict[str, Any]) -> float:
    """Bytes of the largest JSON that a schema takes, every character escaped; infinite where it has no bounds."""
    if "$ref" in schema:
        return largest(known[schema["$ref"].rpartition("/")[2]], known)
    for kind in ("anyOf", "oneOf"):
        if kind in schema:
            return max(largest(each, known) for each in schema[kind])
    if "enum" in schema or "const" in schema:
        return max(6 * len(str(each)) + 2 for each in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "string" if "maxLength" in schema:
            return 12 * int(schema["maxLength"]) + 2
        case "string":
            return MAX_WORD_BYTES if {"pattern", "format"} & schema.keys() else math.inf
        case "array":
            return schema.get("maxItems", math.inf) * (largest(schema["items"], known) + 3)
        case "object":
            return sum(6 * len(name) + 6 + largest(each, known) for name, each in members(schema, known))
        case "integer" | "number" | "boolean" | "null":
            return 40
        case _:
            return math.inf


def members(schema: dict[str, Any], known: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The members of an object, by declaration or by the closed list of their names; one without end if there is neither."""
    if "properties" in schema:
        return list(schema["properties"].items())
    names = schema.get("propertyNames", {})
    names = known[names["$ref"].rpartition("/")[2]] if "$ref" in names else names
    return [(name, schema["additionalProperties"]) for name in names.get("enum", [])] or [("", {})]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_body_that_the_model_takes_fits_the_limit_of_its_route(route: Route) -> None:
    model = typing.get_type_hints(route.function).get("body")
    if route.kind == "public":
        assert route.max_bytes != DEFAULT_MAX_BODY_BYTES, "anybody may send this: declare how much"
    elif model is None:
        assert route.max_bytes == EMPTY_MAX_BODY_BYTES
    elif route.max_bytes < DEFAULT_MAX_BODY_BYTES:
        schema = TypeAdapter(model).json_schema()
        assert largest(schema, schema.get("$defs", {})) <= route.max_bytes


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_the_description_of_the_api_tells_the_limit_of_each_body(route: Route) -> None:
    document = json.loads((ROOT / "docs/generated/openapi.json").read_text())
    reported = document["paths"][route.path][route.method.lower()]["responses"]["413"]["description"]
    assert reported == f"The body has more than {route.max_bytes:,} bytes"
