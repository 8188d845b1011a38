"""The network of the tasks: two zones; the load balancer is the only way in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aws_cdk import CfnOutput
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as balancing
from constructs import Construct

from deploy.cdk.plan import Plan
from deploy.cdk.tasks import HTTP_PORT


@dataclass(frozen=True)
class Network:
    """``subnets`` and ``group``: of the tasks. ``listener`` takes the rules."""

    vpc: str
    subnets: list[str]
    group: str
    listener: Any
    balancer: Any


def render(scope: Construct, plan: Plan) -> Network:
    """One NAT gateway (two in production), and gateway endpoints for DynamoDB and S3, which cost nothing."""
    vpc = ec2.Vpc(scope, "network", max_azs=2, nat_gateways=2 if plan.keep else 1)
    vpc.add_gateway_endpoint("to-dynamodb", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
    vpc.add_gateway_endpoint("to-s3", service=ec2.GatewayVpcEndpointAwsService.S3)
    outer, inner = _groups(scope, plan, vpc)
    # Tokens must not be sent unencrypted over the internet: without a certificate the balancer is internal.
    public = bool(plan.certificate)
    subnets = vpc.public_subnets if public else vpc.private_subnets
    balancer = balancing.CfnLoadBalancer(
        scope,
        "balancer",
        name=plan.prefix[:32],
        scheme="internet-facing" if public else "internal",
        security_groups=[outer],
        subnets=[subnet.subnet_id for subnet in subnets],
        load_balancer_attributes=[
            balancing.CfnLoadBalancer.LoadBalancerAttributeProperty(
                key="routing.http.drop_invalid_header_fields.enabled", value="true"
            )
        ],
    )
    CfnOutput(scope, "BalancerName", value=balancer.attr_dns_name)
    inside = [subnet.subnet_id for subnet in vpc.private_subnets]
    return Network(vpc.vpc_id, inside, inner, _listener(scope, plan, balancer), balancer)


def _groups(scope: Construct, plan: Plan, vpc: Any) -> tuple[str, str]:
    """The security groups of the balancer and of the tasks, which only the balancer may call."""
    port = 443 if plan.certificate else 80
    callers = "0.0.0.0/0" if plan.certificate else vpc.vpc_cidr_block
    outer = ec2.CfnSecurityGroup(
        scope,
        "balancer-group",
        group_description="the load balancer",
        vpc_id=vpc.vpc_id,
        security_group_ingress=[
            ec2.CfnSecurityGroup.IngressProperty(ip_protocol="tcp", from_port=port, to_port=port, cidr_ip=callers)
        ],
    )
    inner = ec2.CfnSecurityGroup(
        scope,
        "tasks-group",
        group_description="the tasks",
        vpc_id=vpc.vpc_id,
        security_group_ingress=[
            ec2.CfnSecurityGroup.IngressProperty(
                ip_protocol="tcp", from_port=HTTP_PORT, to_port=HTTP_PORT, source_security_group_id=outer.attr_group_id
            )
        ],
    )
    return outer.attr_group_id, inner.attr_group_id


def _listener(scope: Construct, plan: Plan, balancer: Any) -> Any:
    """The answer to a path without a rule: 404."""
    nothing = balancing.CfnListener.ActionProperty(
        type="fixed-response",
        fixed_response_config=balancing.CfnListener.FixedResponseConfigProperty(status_code="404"),
    )
    secure: dict[str, Any] = {"port": 80, "protocol": "HTTP"}
    if plan.certificate:
        certificate = balancing.CfnListener.CertificateProperty(certificate_arn=plan.certificate)
        secure = {
            "port": 443,
            "protocol": "HTTPS",
            "certificates": [certificate],
            "ssl_policy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
        }
    return balancing.CfnListener(scope, "listener", load_balancer_arn=balancer.ref, default_actions=[nothing], **secure)
