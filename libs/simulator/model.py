"""Dispatches and validates requests by botocore's models of the operations.

boto3 checks required members, types, `min` and union arity on the client side. `max`, `pattern` and `enum` are
left to the service. Here all of them are checked for every operation of a service by one generic walk over the
service model, so a new operation needs no validation code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote

import botocore.session

from libs.simulator.errors import ProviderError
from libs.simulator.shapes import Check, Compiler, Problem


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the model with its compiled input check."""

    name: str
    method: str
    path: re.Pattern[str]
    check: Check
    shape: Any
    output: Check | None


class ServiceModel:
    """One AWS service as botocore describes it.

    `name` is boto3's client name. `match(method, path)` finds a rest-json operation, `operations[name]` a JSON 1.0
    one. `read(...)` decodes and checks a request. `status_of(code)` is the HTTP status of a modelled error.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.service = botocore.session.get_session().get_service_model(name)
        self.protocol = str(self.service.metadata["protocol"])
        self.target_prefix = str(self.service.metadata.get("targetPrefix", ""))
        compiler = Compiler()
        self.operations: dict[str, Operation] = {}
        self.fixed: dict[tuple[str, str], Operation] = {}
        self.templated: list[Operation] = []
        for op_name in self.service.operation_names:
            self._add(op_name, compiler)

    def _add(self, op_name: str, compiler: Compiler) -> None:
        raw = self.service.operation_model(op_name)
        uri = str(raw.http.get("requestUri", "/")).split("?")[0]
        operation = Operation(
            op_name,
            str(raw.http.get("method", "POST")),
            uri_pattern(uri),
            compiler.compile(raw.input_shape) if raw.input_shape else lambda value, path, problems: {},
            raw.input_shape,
            compiler.compile(raw.output_shape) if raw.output_shape else None,
        )
        self.operations[op_name] = operation
        if "{" in uri:
            self.templated.append(operation)
        else:
            self.fixed[(operation.method, uri)] = operation

    def match(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The rest-json operation for a request line and its (still percent-encoded) path labels."""
        exact = self.fixed.get((method, path))
        if exact is not None:
            return exact, {}
        for operation in self.templated:
            found = operation.path.fullmatch(path) if operation.method == method else None
            if found:
                return operation, {k: unquote(v) for k, v in found.groupdict().items()}
        return None

    def read(self, operation: Operation, body: bytes, query: str, labels: Mapping[str, str]) -> dict[str, Any]:
        """Decode and check a request; raises `Invalid` with every broken constraint."""
        wire = read_json(body)
        if operation.shape is not None and self.protocol == "rest-json":
            wire.update(self._located(operation.shape, query, labels))
        problems: list[Problem] = []
        params: dict[str, Any] = operation.check(wire, "", problems)
        if problems:
            raise Invalid(problems)
        return params

    @staticmethod
    def _located(shape: Any, query: str, labels: Mapping[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        values = parse_qs(query, keep_blank_values=True) if query else {}
        for name, member in shape.members.items():
            where = member.serialization.get("location")
            key = str(member.serialization.get("name", name))
            if where == "uri" and key in labels:
                found[name] = labels[key]
            elif where == "querystring" and key in values:
                found[name] = from_query(member, values[key])
        return found

    def status_of(self, code: str) -> int:
        """HTTP status of a modelled error; where the model is silent 500 for Internal... and 400 otherwise."""
        if code not in self.service.shape_names:
            return 400
        metadata = self.service.shape_for(code).metadata
        status = (metadata.get("error") or {}).get("httpStatusCode")
        return int(status) if status else 500 if code.startswith("Internal") else 400


class Invalid(Exception):
    """A request that breaks constraints of the service model."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} validation error(s)")
        self.problems = problems

    def text(self) -> str:
        """The wording of AWS: `1 validation error detected: Value at 'x' failed to satisfy constraint: Member ...`."""
        listed = "; ".join(
            f"Value at '{p.path}' failed to satisfy constraint: Member {p.message}" for p in self.problems
        )
        plural = "" if len(self.problems) == 1 else "s"
        return f"{len(self.problems)} validation error{plural} detected: {listed}"


def read_json(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProviderError("SerializationException", "The request body is not JSON", status=400) from error
    if not isinstance(value, dict):
        raise ProviderError("SerializationException", "The request body must be a JSON object", status=400)
    return value


def from_query(shape: Any, values: list[str]) -> Any:
    """A query string member in its JSON type; what cannot be read stays a string and fails its check."""
    kind, first = shape.type_name, values[0]
    if kind == "list":
        return values
    if kind == "boolean" and first in ("true", "false"):
        return first == "true"
    if kind in ("integer", "long") and re.fullmatch(r"-?\d{1,18}", first):
        return int(first)
    return first


def uri_pattern(uri: str) -> re.Pattern[str]:
    """`/v2/email/templates/{TemplateName}` as a regular expression with named labels."""
    parts = re.split(r"\{(\w+)\}", uri)
    text = "".join(re.escape(p) if i % 2 == 0 else f"(?P<{p}>[^/]+)" for i, p in enumerate(parts))
    return re.compile(text)


@cache
def service_model(name: str) -> ServiceModel:
    """The model of a service, loaded and compiled once per process (about 50 ms)."""
    return ServiceModel(name)
