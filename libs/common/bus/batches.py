"""The batch calls of SNS and SQS answer 200 even when some of their entries failed; here ``Failed[]`` is read."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

ENTRY_ATTEMPTS = 6
LONGEST_WAIT = 2.0
_TRANSIENT = ("Throttl", "TooManyRequests", "RequestLimit", "Internal", "ServiceUnavailable", "Timeout")

_draw = random.SystemRandom().random

Entry = dict[str, Any]


class EntryFailed(Exception):
    """One entry of a batch was refused, or failed too often. ``for_good``: the fault is the entry's own, so it would be refused
    again."""

    def __init__(self, code: str, message: str, *, for_good: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.for_good = for_good


async def send_all(
    call: Callable[[list[Entry]], Awaitable[dict[str, Any]]],
    entries: Sequence[Entry],
    done: frozenset[str] = frozenset(),
) -> list[EntryFailed | None]:
    """Send one batch; entries that failed for a passing reason are sent again with full jitter. Answers for each entry
    None or what became of it; codes in ``done`` count as success. Raises what the whole call raises."""
    waiting = {str(n): {**entry, "Id": str(n)} for n, entry in enumerate(entries)}
    failed: dict[str, EntryFailed] = {}
    for attempt in range(ENTRY_ATTEMPTS):
        if attempt:
            await asyncio.sleep(_draw() * min(LONGEST_WAIT, 0.05 * 2**attempt))
        answer = await call(list(waiting.values()))
        failures = {f["Id"]: f for f in answer.get("Failed", []) if f["Code"] not in done}
        for name in waiting:
            failed.pop(name, None)
        failed.update(
            (name, EntryFailed(f["Code"], f.get("Message", ""), for_good=not _passing(f)))
            for name, f in failures.items()
        )
        waiting = {name: waiting[name] for name, f in failures.items() if _passing(f)}
        if not waiting:
            break
    return [failed.get(str(n)) for n in range(len(entries))]


def _passing(failure: dict[str, Any]) -> bool:
    return not failure.get("SenderFault") or any(word in failure["Code"] for word in _TRANSIENT)
