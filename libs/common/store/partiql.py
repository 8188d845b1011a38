"""Encodes operations for DynamoDB: PartiQL statements for batches, expressions for transactions and queries.

Names are always quoted or placeholders, and values are always parameters, so a row is never interpreted as code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from libs.common.store.item import Row, Table
from libs.common.store.ops import Check, Delete, Insert, Op, Put, Query, Update, When
from libs.common.store.values import HIDDEN, key_of, must_exist, to_attribute, to_attributes

#: The number of last writes whose markers a row keeps.
MAX_NONCES = 8


def write_nonce(op: Insert | Update, nonce: str) -> Row:
    """The attribute with a write's marker. There are eight attributes, chosen by the new version if there is one, so that a
    writer whose answer was lost finds its marker even after other writes."""
    version = (op.row if isinstance(op, Insert) else op.set).get("version")
    place = version if isinstance(version, int) else int(nonce, 16)
    return {f"{HIDDEN}{place % MAX_NONCES}": nonce}


def has_nonce(row: dict[str, dict[str, Any]] | None, nonce: str) -> bool:
    """Whether the row has the marker of this nonce."""
    return any(name.startswith(HIDDEN) and value.get("S") == nonce for name, value in (row or {}).items())


class _Language(Protocol):
    def name(self, attribute: str) -> str: ...
    def value(self, value: Any) -> str: ...
    def missing(self, attribute: str) -> str: ...
    def present(self, attribute: str) -> str: ...


def _conditions(say: _Language, when: Sequence[When]) -> list[str]:
    parts = []
    for each in when:
        if each.operator == "missing":
            parts.append(say.missing(each.attribute))
            continue
        if each.operator in ("present", "<>"):
            # For DynamoDB a missing attribute is unequal to every value; for this store it is not.
            parts.append(say.present(each.attribute))
        if each.operator != "present":
            parts.append(f"{say.name(each.attribute)} {each.operator} {say.value(each.value)}")
    return parts


class _PartiQL:
    """Collects the parameters of a statement in order."""

    def __init__(self) -> None:
        self.parameters: list[dict[str, Any]] = []

    def name(self, attribute: str) -> str:
        return '"' + attribute.replace('"', '""') + '"'

    def value(self, value: Any) -> str:
        self.parameters.append(to_attribute(value))
        return "?"

    def missing(self, attribute: str) -> str:
        return f"{self.name(attribute)} IS MISSING"

    def present(self, attribute: str) -> str:
        return f"{self.name(attribute)} IS NOT MISSING"


def statement(op: Insert | Update | Delete, nonce: str, table: Table) -> dict[str, Any]:
    """One entry of BatchExecuteStatement."""
    say = _PartiQL()
    name = say.name(op.table)
    if isinstance(op, Insert):
        row = {**op.row, **write_nonce(op, nonce)}
        pairs = ", ".join("'" + each.replace("'", "''") + f"': {say.value(value)}" for each, value in row.items())
        text = f"INSERT INTO {name} VALUE {{{pairs}}}"
    else:
        text = f"DELETE FROM {name}"  # noqa: S608 - names quoted, values parameters
        if isinstance(op, Update):
            sets = [f"SET {say.name(each)} = {say.value(value)}" for each, value in _set(op, nonce).items()]
            text = " ".join([f"UPDATE {name}", *sets, *(f"REMOVE {say.name(each)}" for each in op.remove)])
        keys = [When(each, "=", value) for each, value in op.key.items()]
        text += " WHERE " + " AND ".join(_conditions(say, keys) + _conditions(say, op.when))
    return {"Statement": text, "Parameters": say.parameters, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def _set(op: Update, nonce: str) -> Row:
    return {**op.set, **write_nonce(op, nonce)}


class _Expression:
    """Collects placeholders for names and values."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, dict[str, Any]] = {}

    def name(self, attribute: str) -> str:
        return self.names.setdefault(attribute, f"#{len(self.names)}")

    def value(self, value: Any) -> str:
        placeholder = f":{len(self.values)}"
        self.values[placeholder] = to_attribute(value)
        return placeholder

    def missing(self, attribute: str) -> str:
        return f"attribute_not_exists({self.name(attribute)})"

    def present(self, attribute: str) -> str:
        return f"attribute_exists({self.name(attribute)})"

    def request(self, **more: Any) -> dict[str, Any]:
        """The fields of a request, without empty ones (DynamoDB refuses them)."""
        given = {"ExpressionAttributeNames": {at: name for name, at in self.names.items()}, **more}
        return {name: value for name, value in {**given, "ExpressionAttributeValues": self.values}.items() if value}


def transact_item(op: Op, nonce: str, table: Table) -> dict[str, Any]:
    """One entry of TransactWriteItems."""
    say = _Expression()
    request: dict[str, Any] = {"TableName": op.table}
    if isinstance(op, Insert | Put):
        request["Item"] = to_attributes({**op.row, **(write_nonce(op, nonce) if isinstance(op, Insert) else {})})
        condition = say.missing(table.key) if isinstance(op, Insert) else ""
    else:
        request["Key"] = to_attributes(key_of(op, table))
        exists = [say.present(table.key)] if must_exist(op) else []
        condition = " AND ".join(exists + _conditions(say, op.when))
        if condition and isinstance(op, Delete):
            condition = f"{say.missing(table.key)} OR ({condition})"
    if isinstance(op, Update):
        sets = [f"{say.name(each)} = {say.value(value)}" for each, value in _set(op, nonce).items()]
        removes = [say.name(each) for each in op.remove]
        request["UpdateExpression"] = "SET " + ", ".join(sets) + (" REMOVE " + ", ".join(removes) if removes else "")
    kind = {Insert: "Put", Put: "Put", Update: "Update", Delete: "Delete", Check: "ConditionCheck"}[type(op)]
    if condition:
        request |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    return {kind: say.request(**request)}


def query_request(query: Query) -> dict[str, Any]:
    """The fields of a Query, without its page."""
    say = _Expression()
    name, value = query.hash
    parts = [f"{say.name(name)} = {say.value(value)}"]
    if query.prefix or query.between:
        if query.sort is None:
            raise ValueError("a range needs a sort key")
        sort = say.name(query.sort)
        if query.prefix:
            parts.append(f"begins_with({sort}, {say.value(query.prefix)})")
        else:
            low, high = query.between or ("", "")
            parts.append(f"{sort} BETWEEN {say.value(low)} AND {say.value(high)}")
    return say.request(
        TableName=query.table,
        IndexName=query.index,
        KeyConditionExpression=" AND ".join(parts),
        ConsistentRead=query.index is None,
    ) | {"ScanIndexForward": not query.newest_first}
