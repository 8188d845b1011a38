"""The services as ECS tasks on Fargate, all of one image (the target `platform` of the Dockerfile)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Aws, CfnTag, RemovalPolicy
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as balancing
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from deploy.cdk import access, network
from deploy.cdk.alarms import Rate
from deploy.cdk.network import Network
from deploy.cdk.plan import Plan
from deploy.cdk.tasks import HEALTH_PORT, HTTP_PORT, Task, rules, tasks_of
from deploy.cdk.user_pool import People
from libs.common.declare.discover import ROOT

CPU, MEMORY = "256", "512"
LOG_DAYS = 30
#: Longer than WECARE_DRAIN_SECONDS, in which a worker finishes running handlers.
STOP_SECONDS = 25


@dataclass(frozen=True)
class Made:
    """Data for the alarms: the load balancer, and a target group per service with routes."""

    balancer: Any
    targets: dict[str, Any]


def render(scope: Construct, plan: Plan, people: People) -> Made:
    net = network.render(scope, plan)
    cluster = ecs.CfnCluster(scope, "cluster", cluster_name=plan.prefix)
    # Only the files that .dockerignore allows; the image is built during deployment.
    image = ecr_assets.DockerImageAsset(
        scope, "image", directory=str(ROOT), target="platform", platform=ecr_assets.Platform.LINUX_AMD64
    )
    targets = {service.name: _target(scope, plan, net, service.name) for service, _ in rules(plan.services)}
    listening = _rules(scope, plan, net, targets)
    tasks = {service.name: list(tasks_of(plan, service)) for service in plan.services}
    groups = {name: _log(scope, plan, name) for name in tasks}
    starter = _starter(scope, plan, image.repository.repository_arn, list(groups.values()))
    for service in plan.services:
        taken = access.role(scope, plan, service, people.pool_arn)
        for task in tasks[service.name]:
            reported = _definition(scope, plan, task, image.image_uri, (taken, starter), groups[service.name], people)
            made = _service(scope, plan, task, cluster, reported, net, targets)
            for rule in listening if task.http else []:
                made.add_resource_dependency(rule)
    return Made(net.balancer, targets)


def rates(made: Made) -> list[Rate]:
    """The load balancer's error metrics of each service."""
    return [
        Rate(name, "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "RequestCount", {
            "LoadBalancer": made.balancer.attr_load_balancer_full_name,
            "TargetGroup": target.attr_target_group_full_name,
        })
        for name, target in made.targets.items()
    ]  # fmt: skip


def _log(scope: Construct, plan: Plan, name: str) -> logs.CfnLogGroup:
    group = logs.CfnLogGroup(
        scope, f"log-{name}", log_group_name=f"/ecs/{plan.prefix}/{name}", retention_in_days=LOG_DAYS
    )
    group.apply_removal_policy(RemovalPolicy.RETAIN if plan.keep else RemovalPolicy.DESTROY)
    return group


def _starter(scope: Construct, plan: Plan, repository: str, groups: Sequence[logs.CfnLogGroup]) -> iam.CfnRole:
    """The execution role, which pulls the image and writes the log; the code has the role of its service."""
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    write = ["logs:CreateLogStream", "logs:PutLogEvents"]
    streams = [
        f"{access.arn(f'logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:{g.log_group_name}')}:log-stream:*" for g in groups
    ]
    allowed: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": pull, "Resource": repository},
        # AWS has no resource to name for it.
        {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {"Effect": "Allow", "Action": write, "Resource": streams},
    ]
    return iam.CfnRole(
        scope,
        "role-of-ecs",
        role_name=f"{plan.prefix}-ecs-{Aws.REGION}",
        assume_role_policy_document=access.trust("ecs-tasks.amazonaws.com"),
        policies=[access.policy("start", allowed)],
    )


def _definition(
    scope: Construct, plan: Plan, task: Task, image: str, roles: tuple[iam.CfnRole, iam.CfnRole], log: logs.CfnLogGroup, people: People
) -> ecs.CfnTaskDefinition:  # fmt: skip
    taken, starter = roles
    reported = {**plan.variables(), **people.variables(), "AWS_REGION": Aws.REGION, "AWS_DEFAULT_REGION": Aws.REGION}
    asked = f"{HTTP_PORT}/health" if task.http else f"{HEALTH_PORT}/"
    container = ecs.CfnTaskDefinition.ContainerDefinitionProperty(
        name=task.name,
        image=image,
        command=list(task.command),
        environment=[ecs.CfnTaskDefinition.KeyValuePairProperty(name=k, value=v) for k, v in sorted(reported.items())],
        essential=True,
        health_check=ecs.CfnTaskDefinition.HealthCheckProperty(
            command=["CMD", "python", "-I", "/app/deploy/containers/health_check.py", asked],
            interval=10,
            timeout=5,
            start_period=60,
            retries=3,
        ),
        linux_parameters=ecs.CfnTaskDefinition.LinuxParametersProperty(
            capabilities=ecs.CfnTaskDefinition.KernelCapabilitiesProperty(drop=["ALL"]), init_process_enabled=True
        ),
        log_configuration=ecs.CfnTaskDefinition.LogConfigurationProperty(
            log_driver="awslogs",
            options={"awslogs-group": log.ref, "awslogs-region": Aws.REGION, "awslogs-stream-prefix": task.name},
        ),
        port_mappings=[ecs.CfnTaskDefinition.PortMappingProperty(container_port=HTTP_PORT)] if task.http else None,
        stop_timeout=STOP_SECONDS,
    )
    return ecs.CfnTaskDefinition(
        scope,
        f"task-{task.name}",
        family=f"{plan.prefix}-{task.name}",
        cpu=CPU,
        memory=MEMORY,
        network_mode="awsvpc",
        requires_compatibilities=["FARGATE"],
        runtime_platform=ecs.CfnTaskDefinition.RuntimePlatformProperty(
            cpu_architecture="X86_64", operating_system_family="LINUX"
        ),
        execution_role_arn=starter.attr_arn,
        task_role_arn=taken.attr_arn,
        container_definitions=[container],
    )


def _service(
    scope: Construct, plan: Plan, task: Task, cluster: ecs.CfnCluster, reported: ecs.CfnTaskDefinition, net: Network, targets: dict[str, Any]
) -> ecs.CfnService:  # fmt: skip
    serving = ecs.CfnService.LoadBalancerProperty(
        container_name=task.name, container_port=HTTP_PORT, target_group_arn=targets[task.service.name].ref
    ) if task.http else None  # fmt: skip
    return ecs.CfnService(
        scope,
        f"service-{task.name}",
        service_name=task.name,
        cluster=cluster.ref,
        task_definition=reported.ref,
        launch_type="FARGATE",
        desired_count=2 if plan.keep and task.http else 1,
        load_balancers=[serving] if serving else None,
        health_check_grace_period_seconds=60 if serving else None,
        deployment_configuration=ecs.CfnService.DeploymentConfigurationProperty(
            deployment_circuit_breaker=ecs.CfnService.DeploymentCircuitBreakerProperty(enable=True, rollback=True),
            minimum_healthy_percent=100,
            maximum_percent=200,
        ),
        network_configuration=ecs.CfnService.NetworkConfigurationProperty(
            awsvpc_configuration=ecs.CfnService.AwsVpcConfigurationProperty(
                subnets=net.subnets, security_groups=[net.group], assign_public_ip="DISABLED"
            )
        ),
        propagate_tags="SERVICE",
        tags=[CfnTag(key="wecare:service", value=task.service.name)],
    )


def _target(scope: Construct, plan: Plan, net: Network, name: str) -> balancing.CfnTargetGroup:
    return balancing.CfnTargetGroup(
        scope,
        f"target-{name}",
        vpc_id=net.vpc,
        target_type="ip",
        protocol="HTTP",
        port=HTTP_PORT,
        health_check_path="/health",
        target_group_attributes=[
            balancing.CfnTargetGroup.TargetGroupAttributeProperty(
                key="deregistration_delay.timeout_seconds", value=str(STOP_SECONDS)
            )
        ],
    )


def _rules(scope: Construct, plan: Plan, net: Network, targets: dict[str, Any]) -> list[balancing.CfnListenerRule]:
    return [
        balancing.CfnListenerRule(
            scope,
            f"rule-{priority}",
            listener_arn=net.listener.ref,
            priority=priority,
            conditions=[balancing.CfnListenerRule.RuleConditionProperty(
                field="path-pattern",
                path_pattern_config=balancing.CfnListenerRule.PathPatternConfigProperty(values=patterns),
            )],
            actions=[balancing.CfnListenerRule.ActionProperty(
                type="forward", target_group_arn=targets[service.name].ref
            )],
        )
        for priority, (service, patterns) in enumerate(rules(plan.services), start=1)
    ]  # fmt: skip
