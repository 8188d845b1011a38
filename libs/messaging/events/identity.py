"""What ``identity`` says: who may sign in, in which role, and who wanted it so (the envelope's ``actor``)."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from libs.common.declare.event import Event

RoleName = Literal["VIEWER", "OPERATOR", "ADMIN"]


class UserStatus(StrEnum):
    """``invited``: may sign in, and has not yet set a password of their own."""

    INVITED = "invited"
    ACTIVE = "active"
    DISABLED = "disabled"


class InvitationAsked(Event):
    """An administrator wants somebody to be invited. ``asking`` tells one asking from the next."""

    TYPE = "identity.invitation-asked.v1"
    ABOUT = "invitation_id"

    invitation_id: str
    asking: int


class UserInvited(Event):
    """Somebody is in the user pool, in this role, and has been written to."""

    TYPE = "identity.user-invited.v1"
    ABOUT = "user_id"

    user_id: str
    email: str
    role: RoleName


class InvitationRefused(Event):
    """The user pool did not take the invitation."""

    TYPE = "identity.invitation-refused.v1"
    ABOUT = "invitation_id"

    invitation_id: str
    email: str
    role: RoleName
    reason: str


class UserChangeAsked(Event):
    """An administrator wants a person's role or access to be changed, or the person to be removed. ``change`` is the number of
    the change; ``role`` and ``status`` are None where they stay."""

    TYPE = "identity.user-change-asked.v1"
    ABOUT = "user_id"

    user_id: str
    change: int
    role: RoleName | None = None
    status: Literal["active", "disabled", "removed"] | None = None


class UserChanged(Event):
    """A person as the user pool has them now, and how they were before; whoever was not known before has no status there.
    ``role`` None: in none of our groups."""

    TYPE = "identity.user-changed.v1"
    ABOUT = "user_id"

    user_id: str
    email: str
    revision: int
    role: RoleName | None = None
    status: UserStatus
    role_before: RoleName | None = None
    status_before: UserStatus | None = None


class UserChangeRefused(Event):
    """A change that was accepted and could not be made. Nothing has changed."""

    TYPE = "identity.user-change-refused.v1"
    ABOUT = "user_id"

    user_id: str
    change: int
    reason: str


class UserRemoved(Event):
    """Somebody is no longer in the user pool."""

    TYPE = "identity.user-removed.v1"
    ABOUT = "user_id"

    user_id: str
    email: str
    role_before: RoleName | None = None
