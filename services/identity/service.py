"""Users and roles: who may sign in, and in which role."""

from __future__ import annotations

from libs.common.declare.service import USER_POOL, Grant, Service, every, on
from libs.messaging.events.identity import (
    InvitationAsked,
    InvitationRefused,
    UserChangeAsked,
    UserChanged,
    UserChangeRefused,
    UserInvited,
    UserRemoved,
)
from services.identity import handlers, http, sync
from services.identity.model import Administrators, Invitation, Reading, User

service = Service(
    "identity",
    owns=[User, Invitation, Administrators, Reading],
    hears=[
        on(InvitationAsked, handlers.invite, ledger=True),
        on(UserChangeAsked, handlers.change, ledger=True),
    ],
    says=[
        *(InvitationAsked, InvitationRefused, UserInvited),
        *(UserChangeAsked, UserChangeRefused, UserChanged, UserRemoved),
    ],
    serves=http.router,
    every=[every(sync.CHECK_SECONDS, sync.sync)],
    needs=[
        Grant(
            (
                "cognito-idp:AdminAddUserToGroup",
                "cognito-idp:AdminCreateUser",
                "cognito-idp:AdminDeleteUser",
                "cognito-idp:AdminDisableUser",
                "cognito-idp:AdminEnableUser",
                "cognito-idp:AdminGetUser",
                "cognito-idp:AdminListGroupsForUser",
                "cognito-idp:AdminRemoveUserFromGroup",
                "cognito-idp:AdminUserGlobalSignOut",
                "cognito-idp:ListUsers",
                "cognito-idp:ListUsersInGroup",
            ),
            (USER_POOL,),
        )
    ],
)
