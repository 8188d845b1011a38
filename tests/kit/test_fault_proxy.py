"""The fault proxy: the faults that it reports are the faults that it injected."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError

from libs.common.aws.clients import Aws
from libs.common.testing.fault_proxy import FaultProxy, Rule


def pointed(emulator: dict[str, str], proxy: FaultProxy) -> Aws:
    return Aws(environment={**emulator, "AWS_ENDPOINT_URL": proxy.url})


async def test_without_rules_everything_passes_unchanged(emulator: dict[str, str]) -> None:
    async with FaultProxy(emulator["AWS_ENDPOINT_URL"]) as proxy, pointed(emulator, proxy) as aws:
        s3 = await aws.client("s3")
        bucket = f"test-{uuid4().hex}"
        await s3.create_bucket(Bucket=bucket)
        await s3.put_object(Bucket=bucket, Key="a b/✓", Body=b"\x00\xff" * 1000)
        reply = await s3.get_object(Bucket=bucket, Key="a b/✓")
        assert await reply["Body"].read() == b"\x00\xff" * 1000
    assert {service for service, _ in proxy.calls} == {"s3"}
    assert not proxy.faults


async def test_an_error_is_of_the_protocol_that_asked(emulator: dict[str, str]) -> None:
    rule = Rule("error", status=400, code="ThrottledException")
    async with FaultProxy(emulator["AWS_ENDPOINT_URL"], [rule]) as proxy, pointed(emulator, proxy) as aws:
        for service, operation in (("sqs", "list_queues"), ("sns", "list_topics"), ("s3", "list_buckets")):
            with pytest.raises(ClientError, match="ThrottledException"):
                await getattr(await aws.client(service, attempts=1), operation)()


async def test_a_reset_reaches_nobody_and_a_lost_answer_was_an_effect(emulator: dict[str, str]) -> None:
    rules = [Rule("reset", operation="CreateQueue", nth=(1,)), Rule("lost", operation="CreateQueue")]
    async with FaultProxy(emulator["AWS_ENDPOINT_URL"], rules) as proxy, pointed(emulator, proxy) as aws:
        sqs = await aws.client("sqs", attempts=1)
        prefix = f"test-{uuid4().hex}"
        for expected in (0, 1):
            with pytest.raises((ConnectionClosedError, HTTPClientError)):
                await sqs.create_queue(QueueName=f"{prefix}-{expected}")
            found = await sqs.list_queues(QueueNamePrefix=prefix)
            assert len(found.get("QueueUrls", [])) == expected


async def test_parts_of_a_batch_fail_and_the_rest_arrives(emulator: dict[str, str]) -> None:
    rule = Rule("partial", operation="*Batch", share=0.5)
    async with FaultProxy(emulator["AWS_ENDPOINT_URL"], [rule], seed=3) as proxy, pointed(emulator, proxy) as aws:
        sqs, sns = await aws.client("sqs"), await aws.client("sns")
        name = f"test-{uuid4().hex}"
        queue = (await sqs.create_queue(QueueName=name))["QueueUrl"]
        arn = (await sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"]))["Attributes"]["QueueArn"]
        topic = (await sns.create_topic(Name=name))["TopicArn"]
        await sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        entries = [{"Id": f"i{n}", "MessageBody": f"sent {n}"} for n in range(10)]
        sent = await sqs.send_message_batch(QueueUrl=queue, Entries=entries)
        published = await sns.publish_batch(
            TopicArn=topic,
            PublishBatchRequestEntries=[{"Id": f"i{n}", "Message": f"published & {n}"} for n in range(10)],
        )
        for reply in (sent, published):
            assert sorted(each["Id"] for part in ("Successful", "Failed") for each in reply[part]) == [
                f"i{n}" for n in range(10)
            ]
            assert 0 < len(reply["Failed"]) < 10
        expected = {f"sent {each['Id'][1:]}" for each in sent["Successful"]}
        expected |= {f"published & {each['Id'][1:]}" for each in published["Successful"]}
        assert await drain(sqs, queue, len(expected)) == expected


async def drain(sqs: Any, queue: str, count: int) -> set[str]:
    bodies: set[str] = set()
    async with asyncio.timeout(10):
        while len(bodies) < count:
            reply = await sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            bodies |= {message["Body"] for message in reply.get("Messages", [])}
    return bodies
