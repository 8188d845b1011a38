"""Sign-in: the user pool, its public client for the dashboard (authorization code with PKCE), and the three groups.

Local stacks also have demo users and password flows for scripts.
"""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Aws, CfnOutput
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from deploy.cdk.plan import Plan
from deploy.cdk.storage import kept
from deploy.local.cognito import ACCESS_TOKEN_MINUTES, GROUPS, SCOPES

_UNIT = "minutes"


@dataclass(frozen=True)
class People:
    """The values of the pool for other stacks; CloudFormation resolves them."""

    pool: str
    pool_arn: str
    client: str

    def variables(self) -> dict[str, str]:
        issuer = f"https://cognito-idp.{Aws.REGION}.{Aws.URL_SUFFIX}/{self.pool}"
        return {
            "WECARE_COGNITO_ISSUER": issuer,
            "WECARE_COGNITO_CLIENT_ID": self.client,
            "WECARE_COGNITO_JWKS_URL": f"{issuer}/.well-known/jwks.json",
        }


def render(scope: Construct, plan: Plan) -> People:
    pool = cognito.CfnUserPool(
        scope,
        "pool",
        user_pool_name=plan.names.user_pool,
        username_attributes=["email"],
        auto_verified_attributes=["email"],
        admin_create_user_config=cognito.CfnUserPool.AdminCreateUserConfigProperty(allow_admin_create_user_only=True),
        account_recovery_setting=cognito.CfnUserPool.AccountRecoverySettingProperty(
            recovery_mechanisms=[cognito.CfnUserPool.RecoveryOptionProperty(name="verified_email", priority=1)]
        ),
        deletion_protection="ACTIVE" if plan.keep else "INACTIVE",
    )
    kept(pool, plan)
    # The domain is unique per region across accounts, unlike pool names.
    domain = cognito.CfnUserPoolDomain(scope, "domain", user_pool_id=pool.ref, domain=f"{plan.prefix}-{Aws.ACCOUNT_ID}")
    kept(domain, plan)
    for order, group in enumerate(GROUPS):
        made = cognito.CfnUserPoolGroup(
            scope, f"group-{group}", user_pool_id=pool.ref, group_name=group, precedence=len(GROUPS) - order
        )
        kept(made, plan)
    client = _client(scope, plan, pool)
    CfnOutput(scope, "UserPoolId", value=pool.ref)
    CfnOutput(scope, "ClientId", value=client.ref)
    CfnOutput(scope, "HostedUi", value=f"https://{domain.ref}.auth.{Aws.REGION}.amazoncognito.com")
    return People(pool.ref, pool.attr_arn, client.ref)


def _client(scope: Construct, plan: Plan, pool: cognito.CfnUserPool) -> cognito.CfnUserPoolClient:
    client = cognito.CfnUserPoolClient(
        scope,
        "client",
        user_pool_id=pool.ref,
        client_name=f"{plan.prefix}-dashboard",
        # Without a client secret, which a browser cannot keep: the dashboard uses PKCE.
        generate_secret=False,
        supported_identity_providers=["COGNITO"],
        allowed_o_auth_flows_user_pool_client=True,
        allowed_o_auth_flows=["code"],
        allowed_o_auth_scopes=list(SCOPES),
        callback_ur_ls=[f"{plan.origin}/auth/callback/"],
        logout_ur_ls=[f"{plan.origin}/"],
        explicit_auth_flows=["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"],
        access_token_validity=ACCESS_TOKEN_MINUTES,
        id_token_validity=ACCESS_TOKEN_MINUTES,
        token_validity_units=cognito.CfnUserPoolClient.TokenValidityUnitsProperty(access_token=_UNIT, id_token=_UNIT),
        enable_token_revocation=True,
        prevent_user_existence_errors="ENABLED",
    )
    kept(client, plan)
    return client
