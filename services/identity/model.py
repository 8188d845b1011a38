"""Users, invitations and administrators; pure. The user pool is the source of truth."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from libs.common.aws.auth import Role
from libs.common.clock import Timestamp, derived_id
from libs.common.declare.wire import Part
from libs.common.store.item import Index, Item, Table
from libs.messaging.events.identity import RoleName, UserStatus

#: The single key under which all users are listed; there are few.
LISTED = "all"
#: A change accepted this long ago and not applied was dead-lettered: it may be requested again.
SYNC_DEADLINE = timedelta(minutes=15)


class Pending(Part):
    """A change that was accepted and not yet applied to the user pool; None for a field that stays unchanged."""

    number: int
    role: RoleName | None = None
    status: Literal["active", "disabled", "removed"] | None = None
    asked_by: str
    asked_at: Timestamp


class User(Item):
    """One user. ``user_id`` is Cognito's ``sub``; ``username`` is the name in Cognito's operations; ``email`` is lower
    case, and the username of a user without one. ``role`` None: in none of the platform's groups, without any right."""

    TABLE: ClassVar[Table] = Table("user", key="userId", indexes=(Index("by-email", hash="listed", sort="email"),))

    user_id: str
    username: str
    email: str
    role: RoleName | None = None
    status: UserStatus
    pending: Pending | None = None
    #: Number of changes requested.
    changes: int = 0
    #: Why the last change was not made.
    refused: str | None = None
    created_at: Timestamp
    last_login_at: Timestamp | None = None
    #: When the platform last changed the user in the pool; the pool's lists may lag behind that.
    settled_at: Timestamp | None = None
    listed: str = LISTED

    def administers(self) -> bool:
        """Whether the user is an administrator who has signed in at least once."""
        return self.role == "ADMIN" and self.status is UserStatus.ACTIVE

    def is_waiting(self, now: datetime) -> bool:
        return self.pending is not None and now < self.pending.asked_at + SYNC_DEADLINE


class InvitationState(StrEnum):
    """The state of an invitation. ``creating``: no user with that address was in the pool before, so one found now was
    created by this invitation."""

    ASKED = "asked"
    CREATING = "creating"
    REFUSED = "refused"
    DONE = "done"


class Invitation(Item):
    """The invitation of one address, with one e-mail for any number of requests. Listed until it is completed."""

    TABLE: ClassVar[Table] = Table(
        "invitation", key="invitationId", indexes=(Index("by-listing", hash="listed", sort="invitationId"),)
    )

    invitation_id: str
    email: str
    role: RoleName
    state: InvitationState = InvitationState.ASKED
    asking: int = 1
    reason: str | None = None
    user_id: str | None = None
    asked_by: str
    asked_at: Timestamp
    listed: str | None = LISTED

    @staticmethod
    def id_of(email: str) -> str:
        return derived_id("invitation", email.lower())

    def is_waiting(self, now: datetime) -> bool:
        open_ = self.state in (InvitationState.ASKED, InvitationState.CREATING)
        return open_ and now < self.asked_at + SYNC_DEADLINE


class Administrators(Item):
    """The ids of all administrators without a pending change that removes their rights. One row with a conditional
    write on the version, so that two administrators who remove each other's rights concurrently conflict here."""

    TABLE: ClassVar[Table] = Table("administrators", key="id")

    id: str = LISTED
    users: list[str] = Field(default_factory=list)


class Reading(Item):
    """When the user pool is to be read next."""

    TABLE: ClassVar[Table] = Table("reading", key="id")

    id: str = LISTED
    due: Timestamp
    read_at: Timestamp | None = None


def takes_away(user: User, role: RoleName | None, status: str | None) -> bool:
    """Whether the change reduces the user's rights: their sessions are then ended."""
    lower = role is not None and user.role is not None and Role[role] < Role[user.role]
    return lower or status in ("disabled", "removed")


def takes_administration(user: User, role: RoleName | None, status: str | None) -> bool:
    """Whether the change removes an administrator."""
    is_one = user.role == "ADMIN" and user.status is not UserStatus.DISABLED
    return is_one and (role not in (None, "ADMIN") or status in ("disabled", "removed"))
