"""The batch calls of SNS and SQS answer 200 even when some of their entries failed; these functions read ``Failed[]``."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

MAX_ENTRY_ATTEMPTS = 6
MAX_BACKOFF_SECONDS = 2.0
_TRANSIENT = ("Throttl", "TooManyRequests", "RequestLimit", "Internal", "ServiceUnavailable", "Timeout")

#: Codes caused by the message itself (its size, its characters, its attributes). Any other refusal (a missing permission, a
#: disabled key, a deleted topic) can be fixed without changing the message.
_CONTENT = frozenset(
    {
        "InvalidParameter",
        "InvalidParameterValue",
        "ParameterValueInvalid",
        "InvalidMessageContents",
        "BatchRequestTooLong",
    }
)

_random = random.SystemRandom().random

Entry = dict[str, Any]


class EntryFailed(Exception):
    """An entry of a batch was refused, or failed too often."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code

    @property
    def for_good(self) -> bool:
        """Whether the entry itself is the cause, so that it would be refused each time."""
        return _is_of_content(self.code)


async def send_all(
    call: Callable[[list[Entry]], Awaitable[dict[str, Any]]],
    entries: Sequence[Entry],
    done: frozenset[str] = frozenset(),
) -> list[BaseException | None]:
    """Send one batch; entries with a transient failure are retried with full jitter. Returns for each entry
    None or its error; codes in ``done`` count as success. If a call is refused for the content of an entry, each entry is
    sent alone. Otherwise raises what the call raises."""
    try:
        return list(await _send(call, entries, done))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if not _is_of_content(code):
            raise
        if len(entries) == 1:
            return [EntryFailed(code, error.response["Error"].get("Message", ""))]
    alone = await asyncio.gather(*(send_all(call, [entry], done) for entry in entries), return_exceptions=True)
    return [each if isinstance(each, BaseException) else each[0] for each in alone]


async def _send(
    call: Callable[[list[Entry]], Awaitable[dict[str, Any]]], entries: Sequence[Entry], done: frozenset[str]
) -> list[EntryFailed | None]:
    waiting = {str(n): {**entry, "Id": str(n)} for n, entry in enumerate(entries)}
    failed: dict[str, EntryFailed] = {}
    for attempt in range(MAX_ENTRY_ATTEMPTS):
        if attempt:
            await asyncio.sleep(_random() * min(MAX_BACKOFF_SECONDS, 0.05 * 2**attempt))
        answer = await call(list(waiting.values()))
        failures = {f["Id"]: f for f in answer.get("Failed", []) if f["Code"] not in done}
        for name in waiting:
            failed.pop(name, None)
        failed.update((name, EntryFailed(f["Code"], f.get("Message", ""))) for name, f in failures.items())
        waiting = {name: waiting[name] for name, f in failures.items() if _is_transient(f)}
        if not waiting:
            break
    return [failed.get(str(n)) for n in range(len(entries))]


def _is_transient(failure: dict[str, Any]) -> bool:
    return not failure.get("SenderFault") or any(word in failure["Code"] for word in _TRANSIENT)


def _is_of_content(code: str) -> bool:
    """SQS writes ``AWS.SimpleQueueService.BatchRequestTooLong``; the suffix differs between protocols."""
    return code.rpartition(".")[2].removesuffix("Exception") in _CONTENT
