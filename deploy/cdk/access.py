"""IAM: one role per service, with the grants of its declaration and the permissions that its host needs, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from constructs import Construct

from deploy.cdk.plan import Plan
from libs.common.declare.service import Service

#: What is looked up (``kind:name`` of a grant) -> the part of an ARN behind the partition.
_PATTERNS = {
    "queue": "sqs:{region}:{account}:{name}",
    "topic": "sns:{region}:{account}:{name}",
    "bucket": "s3:::{name}",
    # Secrets Manager adds six characters of its own to the ARN of each secret.
    "secret": "secretsmanager:{region}:{account}:secret:{name}-??????",
}
_TRUSTED = {"lambda": "lambda.amazonaws.com", "ecs": "ecs-tasks.amazonaws.com"}


def arn(rest: str) -> str:
    """``arn:<partition>:<rest>``."""
    return f"arn:{Aws.PARTITION}:{rest}"


def named(kind: str, name: str) -> str:
    """The ARN of what the topology calls ``name``."""
    return arn(_PATTERNS[kind].format(region=Aws.REGION, account=Aws.ACCOUNT_ID, name=name))


def resolved(resource: str, plan: Plan, user_pool: str) -> list[str]:
    """The ARNs of one resource of a grant. A table's indexes have ARNs of their own, which a query is allowed by."""
    kind, _, name = resource.partition(":")
    if kind == "table":
        table = arn(f"dynamodb:{Aws.REGION}:{Aws.ACCOUNT_ID}:table/{name}")
        return [table, *(f"{table}/index/{index.name}" for index in plan.table(name).table.indexes)]
    if kind == "user-pool":
        return [user_pool]
    return [named(kind, name)] if kind in _PATTERNS else [resource]


def statements(plan: Plan, service: Service, user_pool: str) -> list[dict[str, Any]]:
    """The policy of a service: one statement for each set of actions. A role's own policies hold 10,240 characters."""
    may: dict[str, set[str]] = {}
    for grant in plan.topology.grants:
        if grant.service == service.name:
            for each in (each for resource in grant.resources for each in resolved(resource, plan, user_pool)):
                may.setdefault(each, set()).update(grant.actions)
    if plan.hosts == "lambda":
        for queue in plan.queues(service):
            # Lambda needs them on the queues that it polls with the function's role.
            may[named("queue", queue.name)].add("sqs:GetQueueAttributes")
    alike: dict[tuple[str, ...], list[str]] = {}
    for resource, actions in may.items():
        alike.setdefault(tuple(sorted(actions)), []).append(resource)
    return [{"Effect": "Allow", "Action": list(actions), "Resource": arns} for actions, arns in alike.items()]


def role(
    scope: Construct, plan: Plan, service: Service, user_pool: str, more: Iterable[dict[str, Any]] = ()
) -> iam.CfnRole:
    """The role of a service; ``more`` are statements of its host."""
    return iam.CfnRole(
        scope,
        f"role-{service.name}",
        role_name=f"{plan.prefix}-{service.name}-{Aws.REGION}",
        assume_role_policy_document=trust(_TRUSTED[plan.hosts]),
        policies=[policy(service.name, [*statements(plan, service, user_pool), *more])],
    )


def trust(principal: str) -> dict[str, Any]:
    """The trust policy: an AWS service, for this account."""
    allowed = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
    # Lambda sends no source account when it assumes a role.
    if principal != "lambda.amazonaws.com":
        allowed["Condition"] = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
    return document([allowed])


def policy(name: str, allowed: list[dict[str, Any]]) -> iam.CfnRole.PolicyProperty:
    return iam.CfnRole.PolicyProperty(policy_name=name, policy_document=document(allowed))


def document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}
