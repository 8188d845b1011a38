"""Partial failures of batches: removes entries from a request, and adds their failure to the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

Json = dict[str, Any]
Mend = Callable[[web.Response], web.Response]
REFUSED = {"Code": "InternalError", "SenderFault": False, "Message": "injected"}


def split(operation: str, body: bytes, refuse: Callable[[], bool]) -> tuple[bytes, Mend]:
    """The request without the entries that ``refuse`` selects (empty: none is left), and a function that adds their failure
    to the answer. Supports the batch operations of DynamoDB, SQS and SNS; other requests are unchanged."""
    if operation == "PublishBatch":
        return _form(body, refuse)
    if operation not in _JSON:
        return body, lambda reply: reply
    request: Json = json.loads(body)
    left, mend = _JSON[operation](request, refuse)

    def mended(reply: web.Response) -> web.Response:
        if reply.status >= 400:
            return reply
        answer = json.loads(reply.text or "{}")
        mend(answer)
        return web.json_response(answer, content_type="application/x-amz-json-1.0")

    return json.dumps(request).encode() if left else b"", mended


def _statements(request: Json, refuse: Callable[[], bool]) -> tuple[int, Callable[[Json], None]]:
    held = [refuse() for _ in request["Statements"]]
    request["Statements"] = [each for each, out in zip(request["Statements"], held, strict=True) if not out]

    def mend(answer: Json) -> None:
        ran = iter(answer.get("Responses", []))
        error = {"Error": {"Code": "ThrottlingError", "Message": "injected"}}
        answer["Responses"] = [error if out else next(ran) for out in held]

    return len(request["Statements"]), mend


def _writes(request: Json, refuse: Callable[[], bool]) -> tuple[int, Callable[[Json], None]]:
    kept, held = _by_table({table: list(rows) for table, rows in request["RequestItems"].items()}, refuse)
    request["RequestItems"] = kept
    return len(kept), lambda answer: answer.setdefault("UnprocessedItems", {}).update(held)


def _reads(request: Json, refuse: Callable[[], bool]) -> tuple[int, Callable[[Json], None]]:
    tables = request["RequestItems"]
    kept, held = _by_table({table: part["Keys"] for table, part in tables.items()}, refuse)
    request["RequestItems"] = {table: {**tables[table], "Keys": keys} for table, keys in kept.items()}

    def mend(answer: Json) -> None:
        answer.setdefault("Responses", {})
        skipped = answer.setdefault("UnprocessedKeys", {})
        skipped.update({table: {**tables[table], "Keys": keys} for table, keys in held.items()})

    return len(kept), mend


def _by_table(entries: dict[str, list[Any]], refuse: Callable[[], bool]) -> tuple[Json, Json]:
    parts: tuple[Json, Json] = {}, {}
    for table, rows in entries.items():
        for row in rows:
            parts[refuse()].setdefault(table, []).append(row)
    return parts


def _entries(request: Json, refuse: Callable[[], bool]) -> tuple[int, Callable[[Json], None]]:
    held: list[Json] = []
    kept: list[Json] = []
    for entry in request["Entries"]:
        (held if refuse() else kept).append(entry)
    request["Entries"] = kept

    def mend(answer: Json) -> None:
        answer.setdefault("Successful", [])
        answer["Failed"] = [*answer.get("Failed", []), *({"Id": entry["Id"], **REFUSED} for entry in held)]

    return len(kept), mend


_JSON: dict[str, Callable[[Json, Callable[[], bool]], tuple[int, Callable[[Json], None]]]] = {
    "BatchExecuteStatement": _statements,
    "BatchWriteItem": _writes,
    "BatchGetItem": _reads,
    "SendMessageBatch": _entries,
    "DeleteMessageBatch": _entries,
    "ChangeMessageVisibilityBatch": _entries,
}


def _form(body: bytes, refuse: Callable[[], bool]) -> tuple[bytes, Mend]:
    """PublishBatch uses the query protocol: ``PublishBatchRequestEntries.member.<n>.<field>``, and XML answers."""
    pairs = parse_qsl(body.decode(), keep_blank_values=True)
    prefix = "PublishBatchRequestEntries.member."
    numbers = dict.fromkeys(name.split(".")[2] for name, _ in pairs if name.startswith(prefix))
    held = {number for number in numbers if refuse()}
    ids = [value for name, value in pairs if name.endswith(".Id") and name.split(".")[2] in held]
    new = {number: str(n) for n, number in enumerate((n for n in numbers if n not in held), 1)}
    kept: list[tuple[str, str]] = []
    for name, value in pairs:
        if not name.startswith(prefix):
            kept.append((name, value))
        elif (parts := name.split("."))[2] in new:
            kept.append((".".join([*parts[:2], new[parts[2]], *parts[3:]]), value))
    failed = "".join(
        f"<member><Id>{id}</Id><Code>InternalError</Code><SenderFault>false</SenderFault></member>" for id in ids
    )

    def mend(reply: web.Response) -> web.Response:
        if reply.status >= 400:
            return reply
        empty = "<PublishBatchResponse><PublishBatchResult><Successful/></PublishBatchResult></PublishBatchResponse>"
        text = (reply.text or empty).replace("<Failed/>", "").replace("<Failed></Failed>", "")
        text = text.replace("</PublishBatchResult>", f"<Failed>{failed}</Failed></PublishBatchResult>")
        return web.Response(text=text, content_type="text/xml")

    return urlencode(kept).encode() if new else b"", mend
