"""The AWS resources of a topology, made by boto3. Each function can run again: it makes what is missing and fixes
what differs.

Schedules are not made here: locally the worker host ticks by itself, and neither emulator fires them in time.
"""

import json
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import ClientError

from libs.common.declare.topology import QueueSpec, SubscriptionSpec, TableSpec, Topology

Client = Callable[[str], Any]


class Mismatch(RuntimeError):
    """A resource exists in a shape that cannot be changed in place; the text says how to start again."""


def provision(topology: Topology, client: Client) -> None:
    """Make everything that `topology` names. `client` gives a boto3 client by service name."""
    _tables(topology.tables, client("dynamodb"))
    topics = _topics(topology, client("sns"))
    queues = _queues(topology.queues, client("sqs"))
    _allow_topics(topology.subscriptions, topics, queues, client("sqs"))
    _subscriptions(topology.subscriptions, topics, queues, client("sns"))
    _buckets(topology.buckets, client("s3"))
    _secrets(topology.secrets, client("secretsmanager"))


# -- tables ----------------------------------------------------------------------------------------


def _tables(specs: Iterable[TableSpec], dynamodb: Any) -> None:
    there = {name for page in dynamodb.get_paginator("list_tables").paginate() for name in page["TableNames"]}
    for spec in specs:
        if spec.name in there:
            _require_same_keys(spec, dynamodb.describe_table(TableName=spec.name)["Table"])
        else:
            dynamodb.create_table(**table_request(spec))
            dynamodb.get_waiter("table_exists").wait(TableName=spec.name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        if spec.table.ttl:
            _expire_by(spec.table.ttl, spec.name, dynamodb)


def table_request(spec: TableSpec) -> dict[str, Any]:
    """The arguments of CreateTable: on demand, every key a string."""
    table = spec.table
    request: dict[str, Any] = {
        "TableName": spec.name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _keys(table.key, table.sort),
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in spec.key_attributes()],
    }
    if table.indexes:
        request["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index.name,
                "KeySchema": _keys(index.hash, index.sort),
                "Projection": {"ProjectionType": index.projection},
            }
            for index in table.indexes
        ]
    return request


def _keys(partition: str, sort: str | None) -> list[dict[str, str]]:
    keys = [{"AttributeName": partition, "KeyType": "HASH"}]
    return keys + ([{"AttributeName": sort, "KeyType": "RANGE"}] if sort else [])


def _require_same_keys(spec: TableSpec, found: dict[str, Any]) -> None:
    wanted = table_request(spec)

    def shape(table: dict[str, Any]) -> list[Any]:
        indexes = table.get("GlobalSecondaryIndexes", [])
        return [table["KeySchema"], sorted([i["IndexName"], i["KeySchema"], i["Projection"]] for i in indexes)]

    if shape(found) != shape(wanted):
        raise Mismatch(
            f"the table {spec.name} has other keys or indexes than the code: run `make down`, then `make up` (after "
            "KEEP=1, remove what is kept first: `make clean`)"
        )


def _expire_by(attribute: str, table: str, dynamodb: Any) -> None:
    found = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if found.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
        wanted = {"Enabled": True, "AttributeName": attribute}
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wanted)


# -- topics and queues -----------------------------------------------------------------------------


def _topics(topology: Topology, sns: Any) -> dict[str, str]:
    """Name -> ARN. A feed's topic lets its provider's AWS service publish."""
    arns = {}
    for spec in topology.topics:
        arn = arns[spec.name] = sns.create_topic(Name=spec.name)["TopicArn"]
        if spec.principals:
            policy = _allow({"Service": list(spec.principals)}, "sns:Publish", arn)
            sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    return arns


def _queues(specs: Iterable[QueueSpec], sqs: Any) -> dict[str, tuple[str, str]]:
    """Name -> (URL, ARN); each with its dead-letter queue."""
    made = {}
    for spec in specs:
        kept = {"MessageRetentionPeriod": str(spec.retention)}
        _, dlq_arn = _queue(spec.dlq, kept, sqs)
        redrive = {"deadLetterTargetArn": dlq_arn, "maxReceiveCount": str(spec.max_receives)}
        attributes = kept | {"VisibilityTimeout": str(spec.visibility), "RedrivePolicy": json.dumps(redrive)}
        made[spec.name] = _queue(spec.name, attributes, sqs)
    return made


def _queue(name: str, attributes: dict[str, str], sqs: Any) -> tuple[str, str]:
    # Created without attributes: CreateQueue refuses an existing queue with different ones.
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, found["Attributes"]["QueueArn"]


def _allow_topics(
    specs: Iterable[SubscriptionSpec], topics: dict[str, str], queues: dict[str, tuple[str, str]], sqs: Any
) -> None:
    sources: dict[str, list[str]] = {}
    for spec in specs:
        sources.setdefault(spec.queue, []).append(topics[spec.topic])
    for queue, arns in sources.items():
        url, arn = queues[queue]
        condition = {"ArnEquals": {"aws:SourceArn": sorted(arns)}}
        policy = _allow({"Service": "sns.amazonaws.com"}, "sqs:SendMessage", arn, condition)
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def _allow(principal: dict[str, Any], action: str, resource: str, condition: dict[str, Any] | None = None) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource}
    statement |= {"Condition": condition} if condition else {}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _subscriptions(
    specs: Iterable[SubscriptionSpec], topics: dict[str, str], queues: dict[str, tuple[str, str]], sns: Any
) -> None:
    """Subscribe, fix filters, and remove undeclared subscriptions of our queues to our topics."""
    ours = {arn for _, arn in queues.values()}
    found = {
        (item["TopicArn"], item["Endpoint"]): item["SubscriptionArn"]
        for page in sns.get_paginator("list_subscriptions").paginate()
        for item in page["Subscriptions"]
        if item["TopicArn"] in topics.values() and item["Endpoint"] in ours
    }
    for spec in specs:
        pair = (topics[spec.topic], queues[spec.queue][1])
        wanted = {"RawMessageDelivery": "true"} | ({"FilterPolicy": json.dumps(spec.filter)} if spec.filter else {})
        if arn := found.pop(pair, None):
            for name, value in ({"FilterPolicy": "{}"} | wanted).items():
                sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName=name, AttributeValue=value)
        else:
            sns.subscribe(TopicArn=pair[0], Protocol="sqs", Endpoint=pair[1], Attributes=wanted)
    for arn in found.values():
        sns.unsubscribe(SubscriptionArn=arn)


# -- buckets and secrets ---------------------------------------------------------------------------


def _buckets(specs: Iterable[tuple[str, int | None]], s3: Any) -> None:
    there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for name, days in specs:
        if name not in there:
            s3.create_bucket(Bucket=name)
        encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=encryption)
        private = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(private, True))
        if days:
            rule = {"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": days}}
            s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})


def _secrets(names: Iterable[str], manager: Any) -> None:
    """Create missing secrets with a random value; existing ones are kept."""
    for name in names:
        try:
            manager.describe_secret(SecretId=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            manager.create_secret(Name=name, SecretString=secrets.token_urlsafe(32))
