"""The storage resources: tables, buckets, secrets."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnResource, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from deploy.cdk.access import document, named
from deploy.cdk.plan import Plan
from libs.common.declare.topology import TableSpec


def render(scope: Construct, plan: Plan) -> None:
    for spec in plan.topology.tables:
        kept(_table(scope, spec, plan), plan)
    for name, days in plan.topology.buckets:
        _bucket(scope, plan, name, days)
    for name in plan.topology.secrets:
        kept(_secret(scope, name), plan)


def kept(resource: CfnResource, plan: Plan) -> None:
    """In production it is retained when its stack, or its declaration, is deleted."""
    resource.apply_removal_policy(RemovalPolicy.RETAIN if plan.keep else RemovalPolicy.DESTROY)


def _table(scope: Construct, spec: TableSpec, plan: Plan) -> dynamodb.CfnTable:
    """On-demand capacity, with point-in-time recovery for the last 35 days. It is encrypted as every table is, with DynamoDB's own
    key, which costs nothing."""
    table = spec.table
    return dynamodb.CfnTable(
        scope,
        f"table-{spec.name}",
        table_name=spec.name,
        billing_mode="PAY_PER_REQUEST",
        key_schema=_keys(table.key, table.sort),
        attribute_definitions=[
            dynamodb.CfnTable.AttributeDefinitionProperty(attribute_name=name, attribute_type="S")
            for name in spec.key_attributes()
        ],
        global_secondary_indexes=[
            dynamodb.CfnTable.GlobalSecondaryIndexProperty(
                index_name=index.name,
                key_schema=_keys(index.hash, index.sort),
                projection=dynamodb.CfnTable.ProjectionProperty(projection_type=index.projection),
            )
            for index in table.indexes
        ]
        or None,
        time_to_live_specification=dynamodb.CfnTable.TimeToLiveSpecificationProperty(
            attribute_name=table.ttl, enabled=True
        )
        if table.ttl
        else None,
        point_in_time_recovery_specification=dynamodb.CfnTable.PointInTimeRecoverySpecificationProperty(
            point_in_time_recovery_enabled=True
        ),
        sse_specification=dynamodb.CfnTable.SSESpecificationProperty(sse_enabled=False),
        deletion_protection_enabled=plan.keep,
    )


def _keys(partition: str, sort: str | None) -> list[Any]:
    parts = [(partition, "HASH"), *([(sort, "RANGE")] if sort else [])]
    return [dynamodb.CfnTable.KeySchemaProperty(attribute_name=name, key_type=kind) for name, kind in parts]


def _bucket(scope: Construct, plan: Plan, name: str, days: int | None) -> None:
    rules = [
        s3.CfnBucket.RuleProperty(
            id="parts-of-uploads-that-never-ended",
            status="Enabled",
            abort_incomplete_multipart_upload=s3.CfnBucket.AbortIncompleteMultipartUploadProperty(
                days_after_initiation=1
            ),
        )
    ]
    if days:
        rules.append(s3.CfnBucket.RuleProperty(id="expire", status="Enabled", expiration_in_days=days))
    bucket = s3.CfnBucket(
        scope,
        f"bucket-{name}",
        bucket_name=name,
        bucket_encryption=s3.CfnBucket.BucketEncryptionProperty(
            server_side_encryption_configuration=[
                s3.CfnBucket.ServerSideEncryptionRuleProperty(
                    server_side_encryption_by_default=s3.CfnBucket.ServerSideEncryptionByDefaultProperty(
                        sse_algorithm="AES256"
                    )
                )
            ]
        ),
        public_access_block_configuration=s3.CfnBucket.PublicAccessBlockConfigurationProperty(
            block_public_acls=True, ignore_public_acls=True, block_public_policy=True, restrict_public_buckets=True
        ),
        ownership_controls=s3.CfnBucket.OwnershipControlsProperty(
            rules=[s3.CfnBucket.OwnershipControlsRuleProperty(object_ownership="BucketOwnerEnforced")]
        ),
        lifecycle_configuration=s3.CfnBucket.LifecycleConfigurationProperty(rules=rules),
    )
    kept(bucket, plan)
    arn = named("bucket", name)
    policy = s3.CfnBucketPolicy(
        scope, f"policy-{name}", bucket=name, policy_document=document([tls_only("s3:*", [arn, f"{arn}/*"])])
    )
    policy.add_resource_dependency(bucket)
    kept(policy, plan)


def tls_only(action: str, resources: list[str]) -> dict[str, Any]:
    """Denies all access without TLS."""
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    return {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resources, "Condition": condition}


def _secret(scope: Construct, name: str) -> secretsmanager.CfnSecret:
    """A random value; replace it by hand with the one that a provider issues."""
    generated = secretsmanager.CfnSecret.GenerateSecretStringProperty(password_length=43, exclude_punctuation=True)
    return secretsmanager.CfnSecret(scope, f"secret-{name}", name=name, generate_secret_string=generated)
