"""What the declarations ask for is there in AWS; asking again changes nothing, and fixes what differs."""

import json
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from deploy.local import cognito, resources
from deploy.local.resources import Mismatch
from deploy.local.stack import Stack
from libs.common.declare.event import Event
from libs.common.declare.service import Bucket, Feed, Secret, Service, on
from libs.common.declare.topology import Topology, topology
from libs.common.store.item import Index, Item, Table


class KettleBoiled(Event):
    """A toy event."""

    TYPE: ClassVar[str] = "kettles.kettle-boiled.v1"
    ABOUT: ClassVar[str] = "kettle_id"
    kettle_id: str


class KettleBroke(Event):
    """Another, of the same topic."""

    TYPE: ClassVar[str] = "kettles.kettle-broke.v1"
    ABOUT: ClassVar[str] = "kettle_id"
    kettle_id: str


class Kettle(Item):
    """A toy row."""

    TABLE: ClassVar[Table] = Table(
        "kettle", "kettleId", indexes=(Index("byRoom", "room", "boiledAt"),), ttl="expiresAt"
    )
    kettle_id: str


async def _nothing(event: Event, ctx: object) -> None: ...


KETTLES = Service(
    "kettles",
    owns=[Kettle],
    says=[KettleBoiled, KettleBroke],
    needs=[Bucket("pictures", days=30), Secret("key")],
    feeds=[Feed("steam", lambda body: [], ("social-messaging.amazonaws.com",))],
)
TEA = Service("tea", hears=[on(KettleBoiled, _nothing)])


def the_topology(prefix: str, *services: Service) -> Topology:
    return topology(services or (KETTLES, TEA), prefix)


def provisioned(cloud: Stack, whole: Topology) -> Topology:
    resources.provision(whole, cloud.client)
    return whole


def test_a_table_has_its_keys_index_and_expiry(cloud: Stack) -> None:
    (spec,) = provisioned(cloud, the_topology("shape")).tables
    dynamodb = cloud.client("dynamodb")
    table = dynamodb.describe_table(TableName=spec.name)["Table"]
    assert spec.name == "shape-kettles-kettle"
    assert table["KeySchema"] == [{"AttributeName": "kettleId", "KeyType": "HASH"}]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["byRoom"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    expiry = dynamodb.describe_time_to_live(TableName=spec.name)["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "expiresAt")


def test_a_queue_hands_what_it_cannot_digest_to_its_dead_letter_queue(cloud: Stack) -> None:
    whole = provisioned(cloud, the_topology("redrive"))
    sqs = cloud.client("sqs")
    queue = next(queue for queue in whole.queues if queue.service == "tea")
    url = sqs.get_queue_url(QueueName=queue.name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    redrive = json.loads(attributes["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"].endswith(":redrive-tea-dlq")
    assert int(redrive["maxReceiveCount"]) == queue.max_receives
    assert int(attributes["VisibilityTimeout"]) == queue.visibility
    (statement,) = json.loads(attributes["Policy"])["Statement"]
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"] == [
        "arn:aws:sns:us-east-1:000000000000:redrive-kettles"
    ]


def test_an_event_reaches_the_queue_that_hears_it_and_no_other_event_does(cloud: Stack) -> None:
    provisioned(cloud, the_topology("heard"))
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="heard-kettles")["TopicArn"]
    for event in (KettleBroke, KettleBoiled):
        kind = {"type": {"DataType": "String", "StringValue": event.TYPE}}
        sns.publish(TopicArn=topic, Message=f'{{"type": "{event.TYPE}"}}', MessageAttributes=kind)
    url = sqs.get_queue_url(QueueName="heard-tea")["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2)["Messages"]
    # Raw: the body is the event, not SNS's envelope around it.
    assert [json.loads(message["Body"])["type"] for message in messages] == [KettleBoiled.TYPE]


def test_only_the_provider_of_a_feed_may_publish_to_its_topic(cloud: Stack) -> None:
    provisioned(cloud, the_topology("feed"))
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="feed-feed-steam")["TopicArn"]
    (statement,) = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": ["social-messaging.amazonaws.com"]}


def test_a_bucket_is_private_encrypted_and_forgets(cloud: Stack) -> None:
    provisioned(cloud, the_topology("bucket"))
    s3, name = cloud.client("s3"), "bucket-kettles-pictures"
    rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert rule["Expiration"]["Days"] == 30


def test_provisioning_again_keeps_secrets_and_doubles_nothing(cloud: Stack) -> None:
    whole = provisioned(cloud, the_topology("twice"))
    secret = cloud.client("secretsmanager").get_secret_value(SecretId="twice/kettles/key")["SecretString"]
    provisioned(cloud, whole)
    assert cloud.client("secretsmanager").get_secret_value(SecretId="twice/kettles/key")["SecretString"] == secret
    assert len(subscriptions(cloud, "twice-kettles")) == 1


def test_a_filter_that_changed_is_mended_and_what_is_no_longer_declared_goes(cloud: Stack) -> None:
    provisioned(cloud, the_topology("drift"))
    both = Service("tea", hears=[on(KettleBoiled, _nothing), on(KettleBroke, _nothing)])
    provisioned(cloud, the_topology("drift", KETTLES, both))
    (arn,) = subscriptions(cloud, "drift-kettles")
    attributes = cloud.client("sns").get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert json.loads(attributes["FilterPolicy"])["type"] == [KettleBoiled.TYPE, KettleBroke.TYPE]
    assert attributes["RawMessageDelivery"] == "true"
    deaf = Service("tea", hears=[on(KettleBoiled, _nothing, lane="slow")])
    provisioned(cloud, the_topology("drift", KETTLES, deaf))
    assert subscriptions(cloud, "drift-kettles") != [arn]


def subscriptions(cloud: Stack, topic: str) -> list[str]:
    found = cloud.client("sns").list_subscriptions()["Subscriptions"]
    return [item["SubscriptionArn"] for item in found if item["TopicArn"].endswith(f":{topic}")]


def test_a_table_with_other_keys_is_an_error_that_says_how_to_start_over(cloud: Stack) -> None:
    provisioned(cloud, the_topology("keys"))

    class Teapot(Item):
        TABLE: ClassVar[Table] = Table("kettle", "teapotId")

    with pytest.raises(Mismatch, match=r"keys-kettles-kettle has other keys.*make down"):
        provisioned(cloud, the_topology("keys", Service("kettles", owns=[Teapot])))


def test_people_sign_in_beside_every_kind_of_aws(cloud: Stack) -> None:
    client = cloud.client("cognito-idp")
    first = cognito.provision(client, "people", cloud.cognito_url, cloud.api_url)
    assert cognito.provision(client, "people", cloud.cognito_url, cloud.api_url) == first
    for person in cognito.DEMO_PEOPLE:
        assert cognito.sign_in(client, first["WECARE_COGNITO_CLIENT_ID"], person.group)["AccessToken"]


@pytest.mark.skipif(sys.platform != "linux", reason="listening addresses are read from /proc")
def test_aws_listens_on_the_loopback_interface_alone(cloud: Stack) -> None:
    ours = {f"{cloud.ports[name]:04X}" for name in ("aws", "cognito")}
    rows = [row.split() for table in ("tcp", "tcp6") for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    listening = [row[1].split(":") for row in rows if row[3] == "0A"]
    assert {address for address, port in listening if port in ours} == {"0100007F"}  # 127.0.0.1
