"""Events that ``identity`` publishes: users, their roles, and who requested the change (the envelope's ``actor``)."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from libs.common.declare.event import Event

RoleName = Literal["VIEWER", "OPERATOR", "ADMIN"]


class UserStatus(StrEnum):
    """The status of a user. ``invited``: may sign in, but has not yet set a password."""

    INVITED = "invited"
    ACTIVE = "active"
    DISABLED = "disabled"


class InvitationAsked(Event):
    """An administrator requested an invitation. ``asking`` numbers the requests."""

    TYPE = "identity.invitation-asked.v1"
    ABOUT = "invitation_id"

    invitation_id: str
    asking: int


class UserInvited(Event):
    """A user was created in the user pool with this role, and the invitation was sent."""

    TYPE = "identity.user-invited.v1"
    ABOUT = "user_id"

    user_id: str
    email: str
    role: RoleName


class InvitationRefused(Event):
    """The user pool rejected the invitation."""

    TYPE = "identity.invitation-refused.v1"
    ABOUT = "invitation_id"

    invitation_id: str
    email: str
    role: RoleName
    reason: str


class UserChangeAsked(Event):
    """An administrator requested a change of a user's role or access, or the user's removal. ``change`` is the number
    of the change; ``role`` and ``status`` are None where unchanged."""

    TYPE = "identity.user-change-asked.v1"
    ABOUT = "user_id"

    user_id: str
    change: int
    role: RoleName | None = None
    status: Literal["active", "disabled", "removed"] | None = None


class UserChanged(Event):
    """A user's current state in the user pool, and the previous one; the previous status of a new user is None.
    ``role`` None: in none of the platform's groups."""

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
    """An accepted change could not be applied. Nothing has changed."""

    TYPE = "identity.user-change-refused.v1"
    ABOUT = "user_id"

    user_id: str
    change: int
    reason: str


class UserRemoved(Event):
    """A user was removed from the user pool."""

    TYPE = "identity.user-removed.v1"
    ABOUT = "user_id"

    user_id: str
    email: str
    role_before: RoleName | None = None
