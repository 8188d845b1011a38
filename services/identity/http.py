"""HTTP routes of ``/api/users``."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query

from libs.common.aws.auth import Role
from libs.common.clock import Timestamp
from libs.common.declare.wire import PageView, View
from libs.common.handle.context import Context, Done
from libs.common.hosts.http.routes import SMALL_MAX_BODY_BYTES, Api, Cursor, Limit
from libs.messaging.events.identity import RoleName, UserStatus
from services.identity import requests
from services.identity.model import LISTED, Invitation, InvitationState, User
from services.identity.requests import ChangeUser, Invite

router = Api()
Prefix = Annotated[str | None, Query(min_length=1, max_length=128)]


class PendingView(View):
    """A pending change of the user pool."""

    role: RoleName | None = None
    status: Literal["active", "disabled", "removed"] | None = None
    asked_by: str
    asked_at: Timestamp


class UserView(View):
    """A user. Without ``role`` the user is in none of the platform's groups and has no rights. ``refused``: why the
    last change was not made."""

    user_id: str
    email: str
    role: RoleName | None = None
    status: UserStatus
    pending: PendingView | None = None
    refused: str | None = None
    created_at: Timestamp
    last_login_at: Timestamp | None = None


class UserPage(PageView[UserView]):
    pass


class MeView(View):
    """The caller. ``role`` is that of the token, which applies until the token is renewed."""

    user_id: str
    role: RoleName
    email: str | None = None
    status: UserStatus | None = None
    last_login_at: Timestamp | None = None


class InvitationView(View):
    """An invitation. ``reason``: why it was refused."""

    invitation_id: str
    email: str
    role: RoleName
    state: InvitationState
    reason: str | None = None
    asked_by: str
    asked_at: Timestamp


class InvitationPage(PageView[InvitationView]):
    pass


@router.read("GET", "/api/users", role=Role.ADMIN)
async def list_users(ctx: Context, email: Prefix = None, limit: Limit = 50, cursor: Cursor = None) -> UserPage:
    """Returns the users by e-mail address; ``email`` is a prefix."""
    prefix = email.lower() if email else None
    page = await ctx.query(User, LISTED, index="by-email", prefix=prefix, limit=limit, cursor=cursor)
    return UserPage(items=[UserView.model_validate(each) for each in page.items], cursor=page.cursor)


@router.write("POST", "/api/users", role=Role.ADMIN, status=202, about="invitation_id", max_bytes=SMALL_MAX_BODY_BYTES)
async def invite_user(body: Invite, ctx: Context) -> Done[InvitationView]:
    """Invites a user by e-mail. The user is listed once the user pool has created them and sent the e-mail."""
    done = await requests.invite(body, ctx)
    return done.shown(InvitationView.model_validate(done.value))


@router.read("GET", "/api/users/me", role=Role.VIEWER)
async def read_me(ctx: Context) -> MeView:
    """Returns the caller."""
    user = await requests.note_login(ctx)
    assert ctx.caller is not None
    assert ctx.caller.role is not None
    known = {"email": user.email, "status": user.status} if user else {}
    at = user.last_login_at if user else ctx.caller.signed_in_at
    return MeView.model_validate(
        {"user_id": ctx.caller.subject, "role": ctx.caller.role.name, "last_login_at": at, **known}
    )


@router.read("GET", "/api/users/invitations", role=Role.ADMIN)
async def list_invitations(ctx: Context, limit: Limit = 50, cursor: Cursor = None) -> InvitationPage:
    """Returns pending and refused invitations."""
    page = await ctx.query(Invitation, LISTED, index="by-listing", limit=limit, cursor=cursor)
    return InvitationPage(items=[InvitationView.model_validate(each) for each in page.items], cursor=page.cursor)


@router.read("GET", "/api/users/{user_id}", role=Role.ADMIN)
async def read_user(user_id: str, ctx: Context) -> UserView:
    """Returns one user."""
    return UserView.model_validate(await requests.existing(ctx, user_id))


@router.write("PUT", "/api/users/{user_id}", role=Role.ADMIN, status=202, max_bytes=SMALL_MAX_BODY_BYTES)
async def change_user(user_id: str, body: ChangeUser, ctx: Context) -> Done[UserView]:
    """Changes a user's role, or disables or enables the user. A change that reduces rights ends the user's sessions; an
    issued access token is valid until it expires."""
    return _seen(await requests.change_user(user_id, body, ctx))


@router.write("DELETE", "/api/users/{user_id}", role=Role.ADMIN, status=202)
async def remove_user(user_id: str, ctx: Context) -> Done[UserView]:
    """Removes a user from the user pool."""
    return _seen(await requests.remove_user(user_id, ctx))


def _seen(done: Done[User]) -> Done[UserView]:
    return done.shown(UserView.model_validate(done.value))
