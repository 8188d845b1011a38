"""Runs the contract tests on the memory bus and the AWS bus; further tests of batches over a network."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import uuid4

import boto3
import pytest

from deploy.local import resources
from libs.common.aws.clients import Aws
from libs.common.bus.batch_calls import MAX_ENTRY_ATTEMPTS, EntryFailed, send_all
from libs.common.bus.memory import MemoryBus
from libs.common.bus.sns_sqs import SnsSqsBus
from libs.common.clock import SystemClock
from libs.common.declare.topology import Topology
from libs.common.testing.fault_proxy import FaultProxy, Rule
from tests.kit.bus_contract import SOON, BusExam, Sitting, greetings, names_in, small_topology


class QuickClock(SystemClock):
    """Twenty seconds pass in one."""

    def __init__(self) -> None:
        self._start = super().now()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=20 * (super().now() - self._start).total_seconds())


class TestMemory(BusExam):
    @pytest.fixture
    def sitting(self) -> Sitting:
        whole = small_topology("wecare-exam")
        bus = MemoryBus(whole, QuickClock())

        async def left(queue: str) -> int:
            return len(bus.peek(queue))

        return Sitting(bus, whole, bus.publish_raw, left)


@cache
def _client(url: str, service: str) -> Any:
    return boto3.client(
        service, endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


def provisioned(emulator: dict[str, str]) -> Topology:
    whole = small_topology(f"wecare-t{uuid4().hex[:8]}")
    resources.provision(whole, lambda service: _client(emulator["AWS_ENDPOINT_URL"], service))
    return whole


@asynccontextmanager
async def sit(emulator: dict[str, str], url: str | None = None) -> AsyncIterator[Sitting]:
    whole = provisioned(emulator)
    async with Aws(environment={**emulator, **({"AWS_ENDPOINT_URL": url} if url else {})}) as aws:
        bus = SnsSqsBus(aws, whole.prefix)

        async def publish_raw(topic: str, body: str) -> None:
            sns = await aws.client("sns")
            await sns.publish(TopicArn=await bus._arn(topic), Message=body)

        async def left(queue: str) -> int:
            sqs = await aws.client("sqs")
            wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            reported = await sqs.get_queue_attributes(QueueUrl=await bus._url(queue), AttributeNames=wanted)
            return sum(int(reported["Attributes"][name]) for name in wanted)

        yield Sitting(bus, whole, publish_raw, left)
        await bus.drain()


class TestSnsSqs(BusExam):
    @pytest.fixture
    async def sitting(self, emulator: dict[str, str]) -> AsyncIterator[Sitting]:
        async with sit(emulator) as sitting:
            yield sitting


async def take_all(sitting: Sitting, count: int) -> list[str]:
    """Receive and acknowledge until ``count`` events are there."""
    found: list[str] = []
    while len(found) < count:
        records = await sitting.bus.receive(sitting.queue, 10, SOON)
        assert records
        found += [name for record in records for name in names_in(record)]
        await asyncio.gather(*(sitting.bus.ack(record) for record in records))
    return sorted(found)


async def test_many_callers_share_few_requests(emulator: dict[str, str]) -> None:
    async with sit(emulator) as sitting:
        names = sorted(f"n{i}" for i in range(300))
        await asyncio.gather(*(sitting.bus.publish(greetings(name)) for name in names))
        calls = sitting.bus._aws.calls  # type: ignore[attr-defined]
        assert calls["sns", "PublishBatch"] <= 2
        assert await take_all(sitting, 300) == names
        assert calls["sqs", "DeleteMessageBatch"] <= 3


async def test_records_are_acknowledged_ten_to_a_request(emulator: dict[str, str]) -> None:
    async with sit(emulator) as sitting:
        for i in range(30):
            await sitting.publish_raw(f"{sitting.topology.prefix}-feed-toy", f"hi {i}")
        feed = f"{sitting.topology.prefix}-toy-feed-toy"
        records = [record for _ in range(3) for record in await sitting.bus.receive(feed, 10, SOON)]
        await asyncio.gather(*(sitting.bus.ack(record) for record in records))
        assert len(records) == 30
        assert sitting.bus._aws.calls["sqs", "DeleteMessageBatch"] == 3  # type: ignore[attr-defined]


async def test_partial_failures_of_batches_lose_nothing_and_leave_nothing_unacknowledged(
    emulator: dict[str, str],
) -> None:
    refusals = [Rule("partial", operation=op, share=0.3) for op in ("PublishBatch", "DeleteMessageBatch")]
    async with (
        FaultProxy(emulator["AWS_ENDPOINT_URL"], refusals, seed=7) as proxy,
        sit(emulator, proxy.url) as sitting,
    ):
        rounds = [[f"r{r}n{i}" for i in range(150)] for r in range(3)]
        for names in rounds:
            await sitting.bus.publish(greetings(*names))
        assert set(await take_all(sitting, 450)) == {name for names in rounds for name in names}
        assert await sitting.left(sitting.queue) == 0
        assert proxy.faults["partial", "PublishBatch"] > 0


async def test_an_entry_that_is_always_refused_is_told_to_its_own_callers_only(emulator: dict[str, str]) -> None:
    async with FaultProxy(emulator["AWS_ENDPOINT_URL"]) as proxy, sit(emulator, proxy.url) as sitting:
        too_big = greetings("x" * 300_000)
        good, bad = await asyncio.gather(
            sitting.bus.publish(greetings("ann")), sitting.bus.publish(too_big), return_exceptions=True
        )
        assert good is None
        assert isinstance(bad, Exception)
        assert await take_all(sitting, 1) == ["ann"]
        proxy.rules.append(Rule("partial", operation="PublishBatch", share=1.0))
        before = proxy.calls["sns", "PublishBatch"]
        with pytest.raises(Exception, match="InternalError"):
            await sitting.bus.publish(greetings("bob"))
        assert proxy.calls["sns", "PublishBatch"] - before == MAX_ENTRY_ATTEMPTS


async def test_publishing_raises_while_aws_is_away_and_works_when_it_is_back(emulator: dict[str, str]) -> None:
    async with FaultProxy(emulator["AWS_ENDPOINT_URL"]) as proxy, sit(emulator, proxy.url) as sitting:
        proxy.rules.append(Rule("reset"))
        with pytest.raises(Exception, match=r"(?i)connection|endpoint"):
            await sitting.bus.publish(greetings("ann"))
        proxy.rules.clear()
        await sitting.bus.publish(greetings("bob"))
        assert "bob" in await take_all(sitting, 1)


async def test_a_lost_answer_costs_a_duplicate_at_most(emulator: dict[str, str]) -> None:
    lost = [Rule("lost", operation=op, nth=(1,)) for op in ("PublishBatch", "DeleteMessageBatch", "SendMessageBatch")]
    async with FaultProxy(emulator["AWS_ENDPOINT_URL"], lost) as proxy, sit(emulator, proxy.url) as sitting:
        await sitting.bus.publish(greetings("ann"))
        assert set(await take_all(sitting, 2)) == {"ann"}
        assert await sitting.left(sitting.queue) == 0


async def test_heavy_events_are_spread_over_requests(emulator: dict[str, str]) -> None:
    async with sit(emulator) as sitting:
        names = [f"{i}" + "x" * 90_000 for i in range(6)]
        await sitting.bus.publish(greetings(*names))
        assert await take_all(sitting, 6) == sorted(names)


async def test_a_message_that_sns_refuses_for_its_content_takes_no_neighbour_along(emulator: dict[str, str]) -> None:
    refused = [Rule("error", operation="PublishBatch", contains="unwanted", status=400, code="InvalidParameter")]
    async with FaultProxy(emulator["AWS_ENDPOINT_URL"], refused) as proxy, sit(emulator, proxy.url) as sitting:
        names = ["ann", "unwanted", *(f"n{i}" for i in range(150)), "z" * 90_000]
        publishing = (sitting.bus.publish(greetings(name)) for name in names)
        results: list[Any] = list(await asyncio.gather(*publishing, return_exceptions=True))
        bad = results.pop(1)
        assert isinstance(bad, EntryFailed)
        assert bad.for_good
        assert results == [None] * (len(names) - 1)
        assert await take_all(sitting, len(results)) == sorted(name for name in names if name != "unwanted")


@pytest.mark.parametrize("code", ["AuthorizationError", "KMSDisabled", "NotFound"])
async def test_a_refusal_that_is_not_the_messages_own_fault_is_not_for_good(code: str) -> None:
    async def call(entries: list[dict[str, Any]]) -> dict[str, Any]:
        return {"Failed": [{"Id": entry["Id"], "Code": entry["Message"], "SenderFault": True} for entry in entries]}

    ours, its_own = await send_all(call, [{"Message": code}, {"Message": "InvalidParameter"}])
    assert isinstance(ours, EntryFailed)
    assert isinstance(its_own, EntryFailed)
    assert (ours.for_good, its_own.for_good) == (False, True)


@pytest.mark.skipif("WECARE_TEST_AWS_URL" in os.environ, reason="of the embedded AWS only")
async def test_the_embedded_aws_refuses_the_characters_that_sqs_refuses(emulator: dict[str, str]) -> None:
    async with sit(emulator) as sitting:
        with pytest.raises(Exception, match="InvalidParameter"):
            await sitting.publish_raw(f"{sitting.topology.prefix}-feed-toy", "hi \uffff")
        sqs = _client(emulator["AWS_ENDPOINT_URL"], "sqs")
        with pytest.raises(Exception, match="InvalidMessageContents"):
            sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=sitting.queue)["QueueUrl"], MessageBody="\ufffe")
