"""The HTTP API in front of the functions: every route that a service declares, and no other."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws, CfnOutput
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from deploy.cdk import access
from deploy.cdk.functions import Function
from deploy.cdk.plan import Plan


def render(scope: Construct, plan: Plan, functions: Sequence[Function]) -> None:
    """Tokens are verified by the services themselves, as on every host: a refusal is recorded there."""
    api = gateway.CfnApi(scope, "api", name=plan.prefix, protocol_type="HTTP")
    gateway.CfnStage(scope, "api-stage", api_id=api.ref, stage_name="$default", auto_deploy=True)
    for function in functions:
        if function.role == "http":
            _routes(scope, api, function)
    CfnOutput(scope, "ApiUrl", value=f"https://{api.ref}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}")


def _routes(scope: Construct, api: gateway.CfnApi, function: Function) -> None:
    service = function.service
    integration = gateway.CfnIntegration(
        scope,
        f"integration-{service.name}",
        api_id=api.ref,
        integration_type="AWS_PROXY",
        integration_uri=function.made.attr_arn,
        payload_format_version="2.0",
    )
    lambda_.CfnPermission(
        scope,
        f"call-{service.name}",
        action="lambda:InvokeFunction",
        function_name=function.made.ref,
        principal="apigateway.amazonaws.com",
        source_arn=access.arn(f"execute-api:{Aws.REGION}:{Aws.ACCOUNT_ID}:{api.ref}/*/*"),
    )
    for route in service.serves.routes:
        gateway.CfnRoute(
            scope,
            f"route-{route.method}-{route.path.replace('/', '.')}",
            api_id=api.ref,
            route_key=f"{route.method} {route.path}",
            target=f"integrations/{integration.ref}",
        )
