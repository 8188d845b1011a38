"""What AWS publishes about its operations, enforced: dispatch and validation straight from botocore's models.

boto3 checks required members, types, `min` and union arity on the client side. `max`, `pattern` and `enum` are
left to the service. Here all of them are checked for every operation of a service by one generic walk over the
service model, so a new operation needs no validation code.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote

import botocore.session

from libs.simulator.errors import ProviderError


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken constraint: `path` is the member (`Content.Simple.Subject`), `message` what is wrong with it."""

    path: str
    message: str


Check = Callable[[Any, str, list[Problem]], Any]
"""(wire value, path, problems to append to) -> the value as the operation sees it (blobs decoded)."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the model with its compiled input check."""

    name: str
    method: str
    path: re.Pattern[str]
    check: Check
    shape: Any
    output: Check | None


class Compiler:
    """Turns botocore shapes into check functions, once per shape (shapes may be recursive)."""

    def __init__(self) -> None:
        self.known: dict[str, Check] = {}

    def compile(self, shape: Any) -> Check:
        # A cell breaks recursion: it exists before the shape's members are looked at.
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
        """HTTP status of a modelled error; 500 for server faults and 400 otherwise where the model is silent."""
        if code not in self.service.shape_names:
            return 400
        metadata = self.service.shape_for(code).metadata
        status = (metadata.get("error") or {}).get("httpStatusCode")
        return int(status) if status else 500 if metadata.get("fault") else 400


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
