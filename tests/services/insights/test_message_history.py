"""A job as bulk, a sender and messages tell of it: what they say is what is counted."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageChanged
from libs.messaging.vocabulary import Status
from services.insights import counts
from services.insights.model import MessageGroup
from services.insights.service import service
from tests.services.bulk.kit import platform, rows
from tests.services.insights.kit import Insights, expected


async def test_the_figures_of_a_job_are_those_that_the_job_itself_tells(
    emulator: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "JOB_LINGER_SECONDS", 0.002)
    on = await platform(emulator, beside=[service])
    async with on.world as world:
        await on.people(range(150))
        upload = await on.upload(rows(range(150)))
        job = (await on.create(audience={"uploadId": upload}, mapping={"address": "Phone"}))["jobId"]
        await on.approve(job)
        await on.run(job)
        messages = sorted(on.fake.accepted)
        await on.receipts(Status.DELIVERED, messages[:100])
        await on.receipts(Status.READ, messages[90:110])  # ten of them without a word of delivery
        await on.receipts(Status.FAILED, messages[110:115], error_code=ErrorCode.UNDELIVERABLE)
        reported = (await on.job(job))["counts"]
        (today,) = [
            each for each in await Insights(world).items(by="day") if each["channel"] == "whatsapp" and each["sent"]
        ]
        assert (today["queued"], today["sent"], today["messageClass"]) == (150, 150, "bulk")
        assert today["failed"] == reported["failed"] == 5
        assert today["read"] == reported["read"] == 20
        assert today["delivered"] == reported["delivered"] + reported["read"] == 110
        assert today["errors"] == [{"code": "undeliverable", "count": 5}]
        said = world.said(MessageChanged)
        assert _sums(await Insights(world).figures("day")) == _sums(expected(said, "day"))
        # A hundred at a time share a row, as they do at bulk.
        assert len({MessageGroup.id_of(event) for event in said}) == 2


def _sums(figures: Counter[str]) -> dict[str, Any]:
    return {name: n for name, n in sorted(figures.items()) if n}
