"""Who may do what: each service what it is granted, its host what it cannot do without, and nobody anything else."""

from __future__ import annotations

import json
from typing import Any

from deploy.cdk.functions import function_name, roles_of
from libs.common.declare.topology import GrantSpec
from tests.cdk.templates import Synthesised

HERE = "us-east-1:123456789012"
#: Actions of which AWS has no resource to name in the grants of ours (a provider's send operations name numbers that only
#: settings know), and why nothing else may have the resource `*`.
WITHOUT_RESOURCE = {
    "ecr:GetAuthorizationToken",
    "ses:DeleteSuppressedDestination", "ses:GetAccount", "ses:SendEmail",
    "sms-voice:DescribePhoneNumbers",
    "sms-voice:SendMediaMessage", "sms-voice:SendRcsMessage", "sms-voice:SendTextMessage", "sms-voice:SendVoiceMessage",
    "sns:ConfirmSubscription",
    "social-messaging:CreateWhatsAppMessageTemplate", "social-messaging:GetWhatsAppMessageMedia",
    "social-messaging:GetWhatsAppMessageTemplate", "social-messaging:ListLinkedWhatsAppBusinessAccounts",
    "social-messaging:ListWhatsAppMessageTemplates", "social-messaging:PostWhatsAppMessageMedia",
    "social-messaging:SendWhatsAppMessage", "social-messaging:UpdateWhatsAppMessageTemplate",
}  # fmt: skip
#: Longer than any name of a stage and of a region: what fits with these fits.
LONG = {"wecare-dev": "wecare-a-stage-of-21-letters", "us-east-1": "ap-southeast-1"}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def pairs(statements: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(a, r) for s in statements for a in as_list(s["Action"]) for r in as_list(s["Resource"])]


def roles(made: Synthesised) -> dict[str, dict[str, Any]]:
    """By name without prefix and region."""
    found = list(made.of("AWS::IAM::Role"))
    named = {r["RoleName"].removeprefix(f"{made.plan.prefix}-").removesuffix("-us-east-1"): r for r in found}
    assert len(named) == len(found)
    return named


def allowed(role: dict[str, Any]) -> list[dict[str, Any]]:
    (policy,) = role["Policies"]
    return list(policy["PolicyDocument"]["Statement"])


def wanted(made: Synthesised, grant: GrantSpec) -> set[tuple[str, str]]:
    arns: list[str] = []
    for resource in grant.resources:
        kind, _, name = resource.partition(":")
        if kind == "table":
            table = f"arn:aws:dynamodb:{HERE}:table/{name}"
            arns += [table, *(f"{table}/index/{index.name}" for index in made.plan.table(name).table.indexes)]
        elif kind in ("queue", "topic"):
            arns.append(f"arn:aws:{'sqs' if kind == 'queue' else 'sns'}:{HERE}:{name}")
        elif kind == "bucket":
            arns.append(f"arn:aws:s3:::{name}")
        elif kind == "secret":
            arns.append(f"arn:aws:secretsmanager:{HERE}:secret:{name}-??????")
        elif kind == "user-pool":
            arns.append("the user pool")
        else:
            arns.append(resource)
    return {(action, each) for action in grant.actions for each in arns}


def of_host(made: Synthesised, name: str) -> set[tuple[str, str]]:
    """What Lambda needs beyond the grants; ECS's own needs have a role of their own."""
    if made.plan.hosts == "ecs":
        return set()
    service = next(service for service in made.plan.services if service.name == name)
    names = [function_name(made.plan, service, role) for role in roles_of(service, made.plan)]
    streams = [f"arn:aws:logs:{HERE}:log-group:/aws/lambda/{each}:log-stream:*" for each in names]
    logs = {(a, s) for a in ("logs:CreateLogStream", "logs:PutLogEvents") for s in streams}
    polled = {("sqs:GetQueueAttributes", f"arn:aws:sqs:{HERE}:{queue.name}") for queue in made.plan.queues(service)}
    return logs | polled


def test_a_service_may_do_what_it_is_granted_and_nothing_else(made: Synthesised) -> None:
    found = roles(made)
    of_hosts = {"lambda": {"scheduler"}, "ecs": {"ecs"}}[made.plan.hosts]
    assert set(found) == {service.name for service in made.plan.services} | of_hosts
    for service in made.plan.services:
        granted = [wanted(made, grant) for grant in made.plan.topology.grants if grant.service == service.name]
        reported = [
            (action, "the user pool" if action.startswith("cognito-idp:") else resource)
            for action, resource in pairs(allowed(found[service.name]))
        ]
        assert len(reported) == len(set(reported)), f"{service.name} is told something twice"
        assert set(reported) == set().union(*granted) | of_host(made, service.name)


def test_the_pool_in_a_grant_is_the_stage_s_own(made: Synthesised) -> None:
    named = {
        resource
        for role in roles(made).values()
        for action, resource in pairs(allowed(role))
        if action.startswith("cognito-idp:")
    }
    (pool,) = named
    assert made.id_of("AWS::Cognito::UserPool") in pool
    assert "Arn" in pool


def test_permissions_come_from_these_roles_alone(made: Synthesised) -> None:
    kinds = {resource["Type"] for stack in made.stacks.values() for resource in stack["Resources"].values()}
    assert {kind for kind in kinds if kind.startswith("AWS::IAM::")} == {"AWS::IAM::Role"}
    for role in roles(made).values():
        assert "ManagedPolicyArns" not in role


def test_no_action_is_a_wildcard_and_no_resource_but_where_aws_has_none_to_name(made: Synthesised) -> None:
    for role in roles(made).values():
        for action, resource in pairs(allowed(role)):
            assert "*" not in action
            if resource == "*":
                assert action in WITHOUT_RESOURCE


def test_what_another_stage_owns_is_named_by_nobody(made: Synthesised) -> None:
    foreign = [
        resource
        for role in roles(made).values()
        for _, resource in pairs(allowed(role))
        if resource.startswith("arn:aws:") and made.plan.prefix not in resource
    ]
    # Where CDK keeps the images that it builds.
    assert all(":repository/cdk-" in resource for resource in foreign)


def test_a_role_holds_its_policy_even_where_names_are_long(on_lambda: Synthesised) -> None:
    """IAM, *Quotas*: 10,240 characters for all inline policies of a role, white space not counted."""
    for name, role in roles(on_lambda).items():
        text = json.dumps(role["Policies"][0]["PolicyDocument"], separators=(",", ":"))
        for short, long in LONG.items():
            text = text.replace(short, long)
        assert len(text) <= 10_240, name


def test_only_the_host_may_take_a_role(made: Synthesised) -> None:
    whom = {"lambda": "lambda.amazonaws.com", "ecs": "ecs-tasks.amazonaws.com"}[made.plan.hosts]
    for name, role in roles(made).items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "scheduler.amazonaws.com" if name == "scheduler" else whom}
        assert statement["Action"] == "sts:AssumeRole"
