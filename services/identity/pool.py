"""Client of the stage's Cognito user pool (``cognito-idp``): its users and groups. Every change is idempotent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from libs.common.handle.context import Context
from libs.messaging.events.identity import RoleName, UserStatus

_SERVICE = "cognito-idp"
#: Errors of the pool that no retry fixes; their text is shown to users.
_FINAL = frozenset(
    {
        "InvalidParameterException",
        "InvalidPasswordException",
        "UserLambdaValidationException",
        "UnsupportedUserStateException",
    }
)
_GROUPS: tuple[RoleName, ...] = ("VIEWER", "OPERATOR", "ADMIN")

Json = dict[str, Any]


@dataclass(frozen=True)
class Person:
    """A user in the pool."""

    user_id: str
    username: str
    email: str
    status: UserStatus
    created_at: datetime
    role: RoleName | None = None


class NoSuchPerson(Exception):
    """The user is not in the pool, or no longer."""


class Refused(Exception):
    """The pool rejected the request, with this text."""


async def list_people(ctx: Context) -> list[Person]:
    """Returns all users with their roles. Cognito's lists may lag behind its changes by a moment."""
    client = await ctx.aws.client(_SERVICE)
    pool = _id(ctx)
    roles: dict[str, RoleName] = {}
    for group in _GROUPS:
        # From the lowest to the highest role; the highest applies.
        for user in await _pages(client.list_users_in_group, "Users", "NextToken", UserPoolId=pool, GroupName=group):
            roles[user["Username"]] = group
    users = await _pages(client.list_users, "Users", "PaginationToken", UserPoolId=pool)
    return [replace(_person(each, each["Attributes"]), role=roles.get(each["Username"])) for each in users]


async def has_other_admin(ctx: Context, user_id: str) -> bool:
    """Whether another administrator can sign in."""
    client = await ctx.aws.client(_SERVICE)
    users = await _pages(client.list_users_in_group, "Users", "NextToken", UserPoolId=_id(ctx), GroupName="ADMIN")
    people = [_person(each, each["Attributes"]) for each in users]
    return any(each.status is UserStatus.ACTIVE and each.user_id != user_id for each in people)


async def find(ctx: Context, name: str) -> Person | None:
    """Returns one user's current state, by username, ``sub`` or (if users sign in with it) e-mail address."""
    client = await ctx.aws.client(_SERVICE)
    try:
        user = await _checked_call(client.admin_get_user(UserPoolId=_id(ctx), Username=name))
        groups = await _pages(
            client.admin_list_groups_for_user, "Groups", "NextToken", UserPoolId=_id(ctx), Username=user["Username"]
        )
    except NoSuchPerson:
        return None
    held = {group["GroupName"] for group in groups}
    role = next((group for group in reversed(_GROUPS) if group in held), None)
    return replace(_person(user, user["UserAttributes"]), role=role)


async def create(ctx: Context, email: str) -> None:
    """Creates a user; Cognito sends an e-mail with a password for the first sign-in. Leaves an existing user unchanged.
    Raises Refused."""
    client = await ctx.client(_SERVICE)
    attributes = [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]
    try:
        await _checked_call(
            client.admin_create_user(
                UserPoolId=_id(ctx), Username=email, UserAttributes=attributes, DesiredDeliveryMediums=["EMAIL"]
            )
        )
    except Exception as error:
        if _code(error) != "UsernameExistsException":
            raise


async def set_role(ctx: Context, username: str, role: RoleName) -> None:
    """Adds the user to the role's group, then removes them from the others, so that they are never in none. Raises
    NoSuchPerson."""
    client = await ctx.client(_SERVICE)
    who = {"UserPoolId": _id(ctx), "Username": username}
    await _checked_call(client.admin_add_user_to_group(**who, GroupName=role))
    for group in _GROUPS:
        if group != role:
            await _checked_call(client.admin_remove_user_from_group(**who, GroupName=group))


async def enable(ctx: Context, username: str) -> None:
    await _call_for_person(ctx, "admin_enable_user", username)


async def disable(ctx: Context, username: str) -> None:
    """Disables the user's sign-in."""
    await _call_for_person(ctx, "admin_disable_user", username)


async def end_sessions(ctx: Context, username: str) -> None:
    """Revokes the user's sessions; issued access tokens are valid until they expire."""
    await _call_for_person(ctx, "admin_user_global_sign_out", username)


async def remove(ctx: Context, username: str) -> None:
    await _call_for_person(ctx, "admin_delete_user", username)


async def _call_for_person(ctx: Context, operation: str, username: str) -> None:
    client = await ctx.client(_SERVICE)
    await _checked_call(getattr(client, operation)(UserPoolId=_id(ctx), Username=username))


def _id(ctx: Context) -> str:
    found = ctx.settings.user_pool_id
    if not found:
        raise RuntimeError("WECARE_COGNITO_ISSUER is not set: there is no user pool")
    return found


def _person(user: Json, attributes: list[Json]) -> Person:
    values = {each["Name"]: each.get("Value", "") for each in attributes}
    if not user["Enabled"]:
        status = UserStatus.DISABLED
    else:
        new = user.get("UserStatus") in ("FORCE_CHANGE_PASSWORD", "UNCONFIRMED")
        status = UserStatus.INVITED if new else UserStatus.ACTIVE
    return Person(
        user_id=values["sub"],
        username=user["Username"],
        email=(values.get("email") or user["Username"]).lower(),
        status=status,
        created_at=user["UserCreateDate"],
    )


async def _checked_call(call: Awaitable[Json]) -> Json:
    try:
        return await call
    except Exception as error:
        code = _code(error)
        if code == "UserNotFoundException":
            raise NoSuchPerson from None
        if code in _FINAL:
            raise Refused(_message(error)) from None
        raise


def _error(error: Exception) -> Json:
    values = getattr(error, "response", None)
    found: Json = values.get("Error", {}) if isinstance(values, dict) else {}
    return found


def _code(error: Exception) -> str:
    return str(_error(error).get("Code", ""))


def _message(error: Exception) -> str:
    return str(_error(error).get("Message") or _code(error))[:500]


async def _pages(call: Callable[..., Awaitable[Json]], name: str, token: str, **given: str) -> list[Json]:
    found: list[Json] = []
    more: dict[str, str] = {}
    while True:
        answer = await _checked_call(call(**given, **more, Limit=60))
        found += answer[name]
        if not answer.get(token):
            return found
        more = {token: answer[token]}
