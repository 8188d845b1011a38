"""The services as Lambda functions: per service one for its HTTP routes, one for its queues, one for its schedules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from deploy.cdk import access
from deploy.cdk.alarms import Rate
from deploy.cdk.plan import Plan
from deploy.cdk.user_pool import People
from deploy.local.processes import BULK
from libs.common.declare.service import Service
from libs.common.declare.topology import VISIBILITY_SECONDS

#: Role of a function -> its entry point.
HANDLERS = {
    "http": "libs.common.hosts.lambda_http.handler",
    "queues": "libs.common.hosts.lambda_.handler",
    "ticks": "libs.common.hosts.lambda_.handler",
}
#: HTTP APIs wait for 30 s; a queue's visibility timeout must be at least the function's timeout (AWS requires it).
#: Ticks may take longer, but not longer than the shortest schedule interval.
SECONDS = {"http": 29, "queues": VISIBILITY_SECONDS, "ticks": 60}
MEMORY_MB = 512
LOG_DAYS = 30
#: Concurrent functions of a bulk lane, so that a large job leaves capacity for one-time passwords.
MAX_BULK_CONCURRENCY = 20


@dataclass(frozen=True)
class Function:
    service: Service
    role: str
    made: lambda_.CfnFunction


def roles_of(service: Service, plan: Plan) -> Iterator[str]:
    """The roles that a service needs."""
    if getattr(service.serves, "routes", ()):
        yield "http"
    if plan.queues(service):
        yield "queues"
    if any(schedule.service == service.name for schedule in plan.topology.schedules):
        yield "ticks"


def function_name(plan: Plan, service: Service, role: str) -> str:
    return f"{plan.prefix}-{service.name}-{role}"


def render(scope: Construct, plan: Plan, people: People, code: str) -> list[Function]:
    """`code`: the directory with the code of the functions."""
    asset = assets.Asset(scope, "code", path=code)
    made = []
    for service in plan.services:
        roles = list(roles_of(service, plan))
        groups = [f"/aws/lambda/{function_name(plan, service, role)}" for role in roles]
        taken = access.role(scope, plan, service, people.pool_arn, [may_log(groups)] if groups else [])
        made += [_function(scope, plan, service, role, taken, people, asset) for role in roles]
    for each in made:
        if each.role == "queues":
            _mappings(scope, plan, each)
    _schedules(scope, plan, {each.service.name: each.made for each in made if each.role == "ticks"})
    return made


def rates(made: list[Function], plan: Plan) -> list[Rate]:
    """The error metrics of each function."""
    return [
        Rate(f"{each.service.name}-{each.role}", "AWS/Lambda", "Errors", "Invocations",
             {"FunctionName": function_name(plan, each.service, each.role)})
        for each in made
    ]  # fmt: skip


def may_log(groups: list[str]) -> dict[str, Any]:
    """Log streams are named by their writer."""
    arns = [access.arn(f"logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:{group}:log-stream:*") for group in groups]
    return {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": arns}


def _function(
    scope: Construct, plan: Plan, service: Service, role: str, taken: iam.CfnRole, people: People, asset: assets.Asset
) -> Function:
    name = function_name(plan, service, role)
    group = logs.CfnLogGroup(scope, f"log-{name}", log_group_name=f"/aws/lambda/{name}", retention_in_days=LOG_DAYS)
    group.apply_removal_policy(RemovalPolicy.RETAIN if plan.keep else RemovalPolicy.DESTROY)
    reported = {**plan.variables(), **people.variables(), "WECARE_SERVICES": service.name}
    function = lambda_.CfnFunction(
        scope,
        f"function-{name}",
        function_name=name,
        description=f"{service.name}: {role}",
        code=lambda_.CfnFunction.CodeProperty(s3_bucket=asset.s3_bucket_name, s3_key=asset.s3_object_key),
        handler=HANDLERS[role],
        runtime="python3.13",
        architectures=["arm64"],
        memory_size=MEMORY_MB,
        timeout=SECONDS[role],
        role=taken.attr_arn,
        environment=lambda_.CfnFunction.EnvironmentProperty(variables=reported),
        logging_config=lambda_.CfnFunction.LoggingConfigProperty(log_group=group.log_group_name),
    )
    # By name alone CloudFormation would not know; and Lambda would make a group of its own first.
    function.add_resource_dependency(group)
    return Function(service, role, function)


def _mappings(scope: Construct, plan: Plan, function: Function) -> None:
    for queue in plan.queues(function.service):
        bare = queue.name.removeprefix(f"{plan.prefix}-")
        bulky = any(fnmatchcase(bare, pattern) for pattern in BULK)
        lambda_.CfnEventSourceMapping(
            scope,
            f"from-{queue.name}",
            event_source_arn=access.named("queue", queue.name),
            function_name=function.made.ref,
            batch_size=10,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=lambda_.CfnEventSourceMapping.ScalingConfigProperty(maximum_concurrency=MAX_BULK_CONCURRENCY)
            if bulky
            else None,
        )


def minutes(seconds: int) -> int:
    """EventBridge Scheduler runs nothing more often than every minute."""
    return max(1, round(seconds / 60))


def _schedules(scope: Construct, plan: Plan, functions: dict[str, lambda_.CfnFunction]) -> None:
    if not functions:
        return
    group = scheduler.CfnScheduleGroup(scope, "schedules", name=plan.prefix)
    invoke = {
        "Effect": "Allow",
        "Action": ["lambda:InvokeFunction"],
        "Resource": [function.attr_arn for function in functions.values()],
    }
    taken = iam.CfnRole(
        scope,
        "role-of-scheduler",
        role_name=f"{plan.prefix}-scheduler-{Aws.REGION}",
        assume_role_policy_document=access.trust("scheduler.amazonaws.com"),
        policies=[access.policy("invoke", [invoke])],
    )
    for name, function in functions.items():
        # The next run continues the work; Lambda's retries would only add load.
        lambda_.CfnEventInvokeConfig(
            scope, f"once-{name}", function_name=function.ref, qualifier="$LATEST", maximum_retry_attempts=0
        )
    for spec in plan.topology.schedules:
        every = minutes(spec.seconds)
        scheduler.CfnSchedule(
            scope,
            f"schedule-{spec.name}",
            name=spec.name,
            group_name=group.ref,
            schedule_expression=f"rate({every} minute{'s' if every > 1 else ''})",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=functions[spec.service].attr_arn,
                role_arn=taken.attr_arn,
                input=json.dumps({"tick": spec.name}),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(maximum_retry_attempts=0),
            ),
        )
