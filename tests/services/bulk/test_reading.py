"""What it costs to look at a job."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from services.bulk.running.chunks import BulkChunk, BulkTally
from tests.services.bulk.kit import Platform, rows


async def test_a_job_is_shown_in_the_same_number_of_calls_whether_it_has_thirty_recipients_or_a_million(
    on: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    await on.people(range(30))
    job = (await on.create(audience={"uploadId": await on.upload(rows(range(30)))}, mapping={"address": "Phone"}))[
        "jobId"
    ]
    seen: Counter[str] = Counter()
    store = on.world.store
    for name in ("get", "query", "write", "transact"):
        monkeypatch.setattr(store, name, _counting(seen, name, getattr(store, name)))
    small = dict(await _calls(on, job, seen))
    bulk = on.world.runtime.context(on.world.service("bulk"))
    # A million more: ten thousand chunks, a hundred to a tally, as planning would have written them.
    for group in range(1, 101):
        lines = {f"p{group * 100 + n:06d}": _full(job, f"p{group * 100 + n:06d}").line() for n in range(100)}
        tally = BulkTally(job_id=job, group=f"p{group:04d}", chunks=lines, expires_at=2_000_000_000)
        await store.write(bulk.put(tally))
    seen.clear()
    answer = (await on.api.get(f"/api/bulk/jobs/{job}")).json()
    assert answer["counts"]["delivered"] == 1_000_000
    assert dict(seen) == small


def _full(job: str, name: str) -> BulkChunk:
    return BulkChunk(job_id=job, chunk=name, members="", marks="d" * 100, state="ended", expires_at=2_000_000_000)


async def _calls(on: Platform, job: str, seen: Counter[str]) -> Counter[str]:
    seen.clear()
    assert (await on.api.get(f"/api/bulk/jobs/{job}")).status_code == 200
    return seen


def _counting(seen: Counter[str], name: str, call: Any) -> Any:
    async def counted(*given: Any) -> Any:
        seen[name] += 1
        return await call(*given)

    return counted
