"""The Lambda stacks in the embedded AWS's CloudFormation: everything is there, and a message goes all the way through.

What that CloudFormation does not do, and is therefore held against the templates alone: alarms on metric math (the stack
`watch`), DynamoDB's expiry, lifecycle rules of S3.
"""

from __future__ import annotations

import json
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from deploy.cdk import code
from deploy.cdk.app import build
from deploy.cdk.plan import Plan, plan
from deploy.local.stack import Stack
from tests.cdk.emulated import deploy

TEXT = Path("services/inbound/channels/cases/whatsapp/eum-social.event.inbound.text-from-ad-referral.json")
#: When the recorded message was sent, and so when its row would expire.
RECORDED = "1788264000"
STACKS = ("storage", "messaging", "people", "lambda")


@dataclass(frozen=True)
class Deployed:
    stack: Stack
    plan: Plan
    failed: dict[str, str]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deployed")
    with Stack(folder / "stack", only=["aws"], provision=None) as stack:
        # Functions run as processes of this machine there: what they stand on is this test's own.
        given = {"PYTHONPATH": sysconfig.get_paths()["purelib"], "AWS_ENDPOINT_URL": stack.aws_url}
        made = plan("lambda", "dev", given=given)
        build(made, folder / "out", code.pack(folder / "function", bare=True)).synth()
        yield Deployed(stack, made, deploy(stack, folder / "out", [f"{made.prefix}-{name}" for name in STACKS]))


def test_the_stacks_are_complete(deployed: Deployed) -> None:
    assert deployed.failed == {}


def test_every_table_queue_and_function_is_there(deployed: Deployed) -> None:
    topology, client = deployed.plan.topology, deployed.stack.client
    tables = [n for page in client("dynamodb").get_paginator("list_tables").paginate() for n in page["TableNames"]]
    assert set(tables) == {spec.name for spec in topology.tables}
    for spec in topology.queues:
        url = client("sqs").get_queue_url(QueueName=spec.name)["QueueUrl"]
        reported = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert json.loads(reported["RedrivePolicy"])["deadLetterTargetArn"].endswith(f":{spec.dlq}")
    pages = client("sns").get_paginator("list_subscriptions").paginate()
    assert sum(len(page["Subscriptions"]) for page in pages) == len(topology.subscriptions)
    mappings = client("lambda").get_paginator("list_event_source_mappings").paginate()
    heard = {each["EventSourceArn"].rsplit(":", 1)[1] for page in mappings for each in page["EventSourceMappings"]}
    assert heard == {spec.name for spec in (*topology.queues, *topology.dead_letter_queues)}


def waiting(deployed: Deployed) -> int:
    """What lies on the feed's queue, is in somebody's hands, or is dead anywhere."""
    sqs, found = deployed.stack.client("sqs"), 0
    feed = deployed.plan.names.feed_queue("inbound", "whatsapp")
    for name in [feed, *(spec.dlq for spec in deployed.plan.topology.queues)]:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        reported = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        found += int(reported["ApproximateNumberOfMessages"]) + int(reported["ApproximateNumberOfMessagesNotVisible"])
    return found


def test_what_a_provider_says_goes_through_the_functions_and_becomes_one_message(deployed: Deployed) -> None:
    sns, dynamodb = deployed.stack.client("sns"), deployed.stack.client("dynamodb")
    names = deployed.plan.names
    topic = sns.create_topic(Name=names.feed_topic("whatsapp"))["TopicArn"]
    said = TEXT.read_text().replace(RECORDED, str(int(time.time())))
    # Twice, as everything comes.
    for _ in range(2):
        sns.publish(TopicArn=topic, Message=said)
    deadline = time.monotonic() + 90
    rows: list[object] = []
    while (not rows or waiting(deployed)) and time.monotonic() < deadline:
        rows = dynamodb.scan(TableName=names.table("messages", "message"))["Items"]
        time.sleep(0.5)
    assert waiting(deployed) == 0
    assert len(rows) == 1
    assert "I saw your ad" in str(rows[0])


def test_a_request_reaches_the_service_that_serves_it_and_nobody_comes_in_without_a_token(deployed: Deployed) -> None:
    """By the API of API Gateway, as its HTTP API would be called; what nobody declares is not there."""
    (api,) = deployed.stack.client("apigatewayv2").get_apis()["Items"]
    port = deployed.stack.aws_url.rsplit(":", 1)[1]
    headers = {"Host": f"{api['ApiId']}.execute-api.localhost:{port}"}
    for path, status in (("/api/contacts", 401), ("/api/voice-calls", 401), ("/api/nothing", 404)):
        answer = httpx.get(f"{deployed.stack.aws_url}{path}", headers=headers, timeout=60, trust_env=False)
        assert answer.status_code == status, answer.text
        if status == 401:
            assert answer.headers["content-type"] == "application/problem+json"
