"""Sign-in of a local stack: a user pool, a public client for the browser, three groups and three demo people.

In AWS the CDK creates the same pool; only the demo people and the password flows (for scripts and tests) are local.
"""

from dataclasses import dataclass
from typing import Any

from deploy.local.environment import REGION

ACCESS_TOKEN_MINUTES = 15
#: The dashboard's development server, in addition to the address at which the API serves it.
_DEVELOPMENT_ORIGIN = "http://localhost:3000"


@dataclass(frozen=True)
class Person:
    """A demo log-in. The password is public; these users exist on loopback only."""

    email: str
    password: str
    group: str


DEMO_PEOPLE = (
    Person("viewer@example.com", "Viewer-Demo-1", "VIEWER"),
    Person("operator@example.com", "Operator-Demo-1", "OPERATOR"),
    Person("admin@example.com", "Admin-Demo-1", "ADMIN"),
)
#: In ascending order of rights.
GROUPS = ("VIEWER", "OPERATOR", "ADMIN")
SCOPES = ("openid", "email", "profile")


def provision(cognito: Any, prefix: str, cognito_url: str, api_url: str) -> dict[str, str]:
    """Create or find the pool, the client and the users; returns the variables for our processes."""
    pool = _pool(cognito, prefix)
    client = _client(cognito, pool, f"{prefix}-dashboard", [api_url, _DEVELOPMENT_ORIGIN])
    if not cognito.describe_user_pool_domain(Domain=prefix)["DomainDescription"].get("UserPoolId"):
        cognito.create_user_pool_domain(Domain=prefix, UserPoolId=pool)
    groups = {group["GroupName"] for group in cognito.list_groups(UserPoolId=pool)["Groups"]}
    for order, group in enumerate(GROUPS):
        if group not in groups:
            cognito.create_group(UserPoolId=pool, GroupName=group, Precedence=len(GROUPS) - order)
    for person in DEMO_PEOPLE:
        _person(cognito, pool, person)
    return {
        "WECARE_COGNITO_ISSUER": f"https://cognito-idp.{REGION}.amazonaws.com/{pool}",
        "WECARE_COGNITO_USER_POOL_ID": pool,
        "WECARE_COGNITO_CLIENT_ID": client,
        "WECARE_COGNITO_JWKS_URL": f"{cognito_url}/{pool}/.well-known/jwks.json",
        # For the browser: the discovery document and the sign-in and sign-out pages.
        "WECARE_COGNITO_AUTHORITY": f"{cognito_url}/{pool}",
        "WECARE_COGNITO_HOSTED_UI": cognito_url,
    }


def sign_in(cognito: Any, client_id: str, group: str) -> dict[str, str]:
    """`AccessToken`, `IdToken` and `RefreshToken` of the demo person of that group, without a browser."""
    person = next(person for person in DEMO_PEOPLE if person.group == group)
    answer = cognito.initiate_auth(
        ClientId=client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": person.email, "PASSWORD": person.password},
    )
    return dict(answer["AuthenticationResult"])


def _pool(cognito: Any, name: str) -> str:
    for pool in cognito.list_user_pools(MaxResults=60)["UserPools"]:
        if pool["Name"] == name:
            return str(pool["Id"])
    made = cognito.create_user_pool(
        PoolName=name,
        UsernameAttributes=["email"],
        AutoVerifiedAttributes=["email"],
        AdminCreateUserConfig={"AllowAdminCreateUserOnly": True},
    )
    return str(made["UserPool"]["Id"])


def _client(cognito: Any, pool: str, name: str, origins: list[str]) -> str:
    settings = {
        "UserPoolId": pool,
        "ClientName": name,
        "SupportedIdentityProviders": ["COGNITO"],
        "AllowedOAuthFlowsUserPoolClient": True,
        "AllowedOAuthFlows": ["code"],
        "AllowedOAuthScopes": list(SCOPES),
        "CallbackURLs": [f"{origin}/auth/callback/" for origin in origins],
        "LogoutURLs": [f"{origin}/" for origin in origins],
        "ExplicitAuthFlows": [
            "ALLOW_REFRESH_TOKEN_AUTH",
            "ALLOW_USER_SRP_AUTH",
            "ALLOW_USER_PASSWORD_AUTH",  # local only: scripts and tests sign in without a browser
            "ALLOW_ADMIN_USER_PASSWORD_AUTH",
        ],
        "AccessTokenValidity": ACCESS_TOKEN_MINUTES,
        "IdTokenValidity": ACCESS_TOKEN_MINUTES,
        "TokenValidityUnits": {"AccessToken": "minutes", "IdToken": "minutes"},
        "EnableTokenRevocation": True,
    }
    for client in cognito.list_user_pool_clients(UserPoolId=pool, MaxResults=60)["UserPoolClients"]:
        if client["ClientName"] == name:
            cognito.update_user_pool_client(ClientId=client["ClientId"], **settings)
            return str(client["ClientId"])
    return str(cognito.create_user_pool_client(GenerateSecret=False, **settings)["UserPoolClient"]["ClientId"])


def _person(cognito: Any, pool: str, person: Person) -> None:
    try:
        cognito.admin_create_user(
            UserPoolId=pool,
            Username=person.email,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": "email", "Value": person.email}, {"Name": "email_verified", "Value": "true"}],
        )
    except cognito.exceptions.UsernameExistsException:
        return  # groups and passwords may have been changed in the dashboard; keep them
    cognito.admin_set_user_password(UserPoolId=pool, Username=person.email, Password=person.password, Permanent=True)
    cognito.admin_add_user_to_group(UserPoolId=pool, Username=person.email, GroupName=person.group)
