"""DynamoDB's format of rows, their keys, and the cursors of queries."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from libs.common.store.item import Key, Row, Table
from libs.common.store.ops import BadCursor, Check, Insert, Op, Put, Query, RowRefused, Update

Attributes = dict[str, dict[str, Any]]
#: Internal attributes of the store: markers of the last writes (``partiql.mark``).
HIDDEN = "_w"
MAX_TRANSACTION_WRITES = 100
#: DynamoDB, "Quotas": an item has 400 KB with its attribute names, and 32 levels.
MAX_ROW_BYTES = 400 * 1024
MAX_ROW_LEVELS = 32


def to_attributes(row: Row) -> Attributes:
    """Raises TypeError or ValueError for a value that DynamoDB would not return unchanged."""
    return {name: to_attribute(value) for name, value in row.items()}


def from_attributes(attributes: Attributes) -> Row:
    return {name: from_attribute(value) for name, value in attributes.items() if not name.startswith(HIDDEN)}


def to_attribute(value: Any) -> dict[str, Any]:
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int | float):
        return {"N": _number(value)}
    if isinstance(value, list | tuple):
        return {"L": [to_attribute(each) for each in value]}
    if isinstance(value, dict):
        return {"M": to_attributes(value)}
    raise TypeError(f"a row cannot hold a {type(value).__name__}")


def from_attribute(attribute: dict[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    if kind == "NULL":
        return None
    if kind == "N":
        return _whole(float(value)) if set(value) & set(".eE") else int(value)
    if kind == "L":
        return [from_attribute(each) for each in value]
    if kind == "M":
        return {name: from_attribute(each) for name, each in value.items()}
    return value


def _number(value: int | float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"a row cannot hold {value}")
    return str(_whole(value)) if isinstance(value, float) else str(value)


def _whole(value: float) -> int | float:
    """Normalise a number: 2.0 is written and read as 2."""
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def check_row(row: Row) -> None:
    """Raises RowRefused for a row that DynamoDB would refuse."""
    encoded = orjson.dumps(row)
    # JSON is larger than the size that DynamoDB counts, and every level has a bracket.
    if len(encoded) > MAX_ROW_BYTES // 2 or encoded.count(b"{") + encoded.count(b"[") >= MAX_ROW_LEVELS:
        size = sum(len(name.encode()) + _size(value, 1) for name, value in row.items())
        if size > MAX_ROW_BYTES:
            raise too_large_row(size)


def _size(value: Any, level: int) -> int:
    """DynamoDB, "Item sizes and formats". Raises RowRefused."""
    if level > MAX_ROW_LEVELS:
        raise too_deep_row()
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list | tuple):
        return 3 + sum(1 + _size(each, level + 1) for each in value)
    if isinstance(value, dict):
        return 3 + sum(1 + len(name.encode()) + _size(each, level + 1) for name, each in value.items())
    if isinstance(value, bool) or value is None:
        return 1
    return len(_number(value)) // 2 + 2


def too_large_row(size: int = MAX_ROW_BYTES + 1) -> RowRefused:
    return RowRefused(f"a row of it has more than the {MAX_ROW_BYTES} bytes that are possible", size)


def too_deep_row() -> RowRefused:
    return RowRefused(f"a row of it is nested deeper than the {MAX_ROW_LEVELS} levels that are possible")


def key_of(op: Op, table: Table) -> Key:
    """The primary key that an operation touches."""
    row = op.row if isinstance(op, Insert | Put) else op.key
    return {name: row[name] for name in key_names(table)}


def key_names(table: Table, index: str | None = None) -> list[str]:
    """The attributes in a cursor: those of the primary key, and of the index key if an index is named."""
    where = table.index(index) if index else None
    names = [table.key, table.sort, where and where.hash, where and where.sort]
    return list(dict.fromkeys(name for name in names if name))


def check_transaction(ops: Sequence[Op], tables: Mapping[str, Table]) -> None:
    """Raises ValueError for a transaction that DynamoDB would refuse."""
    keys = {(op.table, *key_of(op, tables[op.table]).values()) for op in ops}
    if len(keys) != len(ops) or not 0 < len(ops) <= MAX_TRANSACTION_WRITES:
        raise ValueError("a transaction has 1 to 100 operations, each on a row of its own")


def must_exist(op: Op) -> bool:
    """Whether an absent row refuses the operation, whatever its conditions."""
    return isinstance(op, Update) or (isinstance(op, Check) and not op.when)


def encode_cursor(query: Query, key: Key) -> str:
    text = json.dumps([_identity(query), key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(query: Query, table: Table) -> Key | None:
    """The key after which the page starts. Raises BadCursor for an invalid cursor or one of another query."""
    if query.cursor is None:
        return None
    try:
        padded = query.cursor + "=" * (-len(query.cursor) % 4)
        identity, key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        good = identity == _identity(query) and sorted(key) == sorted(key_names(table, query.index))
        if not good or not all(isinstance(value, str) for value in key.values()) or key[query.hash[0]] != query.hash[1]:
            raise BadCursor(query.cursor)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise BadCursor(query.cursor) from error
    return {str(name): str(value) for name, value in key.items()}


def _identity(query: Query) -> str:
    """A digest of a query without its page. It detects mistakes, not forgery: a cursor only moves within one hash value."""
    parts = (query.table, query.hash, query.index, query.sort, query.prefix, query.between, query.newest_first)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
