"""Tables, buckets, secrets, topics, queues and subscriptions: each that is declared is there once, and no other."""

from __future__ import annotations

from collections import Counter

from deploy.local.resources import table_request
from libs.common.declare.topology import RETENTION_SECONDS
from tests.cdk.templates import Synthesised


def arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:us-east-1:123456789012:{name}"


def test_a_table_has_the_keys_indexes_and_expiry_that_it_has_locally(made: Synthesised) -> None:
    wanted = {spec.name: spec for spec in made.plan.topology.tables}
    found = {table["TableName"]: table for table in made.of("AWS::DynamoDB::Table")}
    assert len(list(made.of("AWS::DynamoDB::Table"))) == len(wanted) == len(found)
    for name, spec in wanted.items():
        table, request = found[name], table_request(spec)
        assert {key: table.get(key) for key in request} == request
        assert ("GlobalSecondaryIndexes" in table) == bool(spec.table.indexes)
        expiry = {"AttributeName": spec.table.ttl, "Enabled": True} if spec.table.ttl else None
        assert table.get("TimeToLiveSpecification") == expiry
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_what_holds_data_outlives_its_stack_in_production_and_only_there(
    on_lambda: Synthesised, on_ecs: Synthesised
) -> None:
    holding = {
        "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret", "AWS::Cognito::UserPool", "AWS::SQS::Queue",
        "AWS::Logs::LogGroup",
    }  # fmt: skip
    for made, policy in ((on_lambda, "Delete"), (on_ecs, "Retain")):
        resources = [r for stack in made.stacks.values() for r in stack["Resources"].values() if r["Type"] in holding]
        assert {r["Type"] for r in resources} == holding
        assert {(r["DeletionPolicy"], r["UpdateReplacePolicy"]) for r in resources} == {(policy, policy)}
    assert all(table["DeletionProtectionEnabled"] for table in on_ecs.of("AWS::DynamoDB::Table"))
    assert not any(table["DeletionProtectionEnabled"] for table in on_lambda.of("AWS::DynamoDB::Table"))


def test_a_bucket_is_private_encrypted_forgets_and_refuses_whoever_comes_without_tls(made: Synthesised) -> None:
    wanted = dict(made.plan.topology.buckets)
    assert Counter(bucket["BucketName"] for bucket in made.of("AWS::S3::Bucket")) == Counter(list(wanted))
    for bucket in made.of("AWS::S3::Bucket"):
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert "AES256" in str(bucket["BucketEncryption"])
        days = [rule.get("ExpirationInDays") for rule in bucket["LifecycleConfiguration"]["Rules"]]
        assert [d for d in days if d] == [d for d in [wanted[bucket["BucketName"]]] if d]
    policies = {policy["Bucket"]: policy["PolicyDocument"]["Statement"] for policy in made.of("AWS::S3::BucketPolicy")}
    assert set(policies) == set(wanted)
    for name, statements in policies.items():
        (refusal,) = statements
        assert refusal["Effect"] == "Deny"
        assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert refusal["Resource"] == [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]


def test_secrets_have_a_random_value_and_no_template_holds_one(made: Synthesised) -> None:
    found = list(made.of("AWS::SecretsManager::Secret"))
    assert Counter(secret["Name"] for secret in found) == Counter(made.plan.topology.secrets)
    assert not any("SecretString" in secret for secret in found)


def test_topics_are_those_declared_and_a_feed_takes_from_its_provider_for_this_account_alone(made: Synthesised) -> None:
    wanted = {spec.name: spec for spec in made.plan.topology.topics}
    alarms = f"{made.plan.prefix}-alarms"
    assert Counter(topic["TopicName"] for topic in made.of("AWS::SNS::Topic")) == Counter([*wanted, alarms])
    allowed = {}
    for policy in made.of("AWS::SNS::TopicPolicy"):
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement["Action"] == "sns:Publish"
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
        allowed[statement["Resource"]] = statement["Principal"]["Service"]
    assert allowed == {
        f"<{made.id_of('AWS::SNS::Topic', TopicName=name)}>": list(spec.principals)
        for name, spec in wanted.items()
        if spec.principals
    }


def test_each_queue_is_there_with_its_dead_letter_queue(made: Synthesised) -> None:
    wanted = {spec.name: spec for spec in made.plan.topology.queues}
    found = {queue["QueueName"]: queue for queue in made.of("AWS::SQS::Queue")}
    names = [queue["QueueName"] for queue in made.of("AWS::SQS::Queue")]
    assert Counter(names) == Counter([*wanted, *(spec.dlq for spec in wanted.values())])
    assert all(queue["SqsManagedSseEnabled"] for queue in found.values())
    assert {queue["MessageRetentionPeriod"] for queue in found.values()} == {RETENTION_SECONDS}
    for name, spec in wanted.items():
        dlq = made.id_of("AWS::SQS::Queue", QueueName=spec.dlq)
        redrive = {"deadLetterTargetArn": f"<{dlq}.Arn>", "maxReceiveCount": spec.max_receives}
        assert found[name]["RedrivePolicy"] == redrive
        assert found[name]["VisibilityTimeout"] == spec.visibility


def test_each_subscription_is_there_once_raw_and_with_its_filter(made: Synthesised) -> None:
    topics = {made.id_of("AWS::SNS::Topic", TopicName=t.name): t.name for t in made.plan.topology.topics}
    queues = {made.id_of("AWS::SQS::Queue", QueueName=q.name): q.name for q in made.plan.topology.queues}
    found = {}
    for sub in made.of("AWS::SNS::Subscription"):
        assert sub["Protocol"] == "sqs"
        assert sub["RawMessageDelivery"] is True
        pair = (topics[sub["TopicArn"].strip("<>")], queues[sub["Endpoint"].strip("<>").removesuffix(".Arn")])
        assert pair not in found
        found[pair] = sub.get("FilterPolicy", {})
    assert found == {(sub.topic, sub.queue): sub.filter for sub in made.plan.topology.subscriptions}


def test_a_queue_takes_from_its_topics_alone_and_from_nobody_without_tls(made: Synthesised) -> None:
    sources: dict[str, set[str]] = {name: set() for spec in made.plan.topology.queues for name in (spec.name, spec.dlq)}
    for sub in made.plan.topology.subscriptions:
        sources.setdefault(sub.queue, set()).add(arn("sns", sub.topic))
    ids = {made.id_of("AWS::SQS::Queue", QueueName=name): name for name in sources}
    policies = list(made.of("AWS::SQS::QueuePolicy"))
    assert len(policies) == len(sources)
    for policy in policies:
        ((queue,), statements) = (policy["Queues"], policy["PolicyDocument"]["Statement"])
        wanted = sources[ids[queue.strip("<>")]]
        assert statements[0]["Effect"] == "Deny"
        assert statements[0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert [s["Action"] for s in statements[1:]] == (["sqs:SendMessage"] if wanted else [])
        for statement in statements[1:]:
            assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
            assert set(statement["Condition"]["ArnEquals"]["aws:SourceArn"]) == wanted


def test_people_sign_in_by_code_and_the_client_keeps_no_secret(made: Synthesised) -> None:
    (pool,) = made.of("AWS::Cognito::UserPool")
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    (client,) = made.of("AWS::Cognito::UserPoolClient")
    assert client["GenerateSecret"] is False
    assert client["AllowedOAuthFlows"] == ["code"]
    assert client["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"]
    assert client["CallbackURLs"] == [f"{made.plan.origin}/auth/callback/"]
    groups = {group["GroupName"]: group["Precedence"] for group in made.of("AWS::Cognito::UserPoolGroup")}
    assert sorted(groups, key=groups.__getitem__) == ["ADMIN", "OPERATOR", "VIEWER"]
