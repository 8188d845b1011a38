"""People, invitations, and who can administer; pure. The user pool has the last word on all of it."""

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

#: The one key under which all people are listed; they are few.
LISTED = "all"
#: What was accepted so long ago and is not done lies among the dead letters: it may be asked for anew.
SYNC_DEADLINE = timedelta(minutes=15)


class Pending(Part):
    """A change that was accepted and is on its way to the user pool; None where something stays."""

    number: int
    role: RoleName | None = None
    status: Literal["active", "disabled", "removed"] | None = None
    asked_by: str
    asked_at: Timestamp


class User(Item):
    """One person. ``user_id`` is Cognito's ``sub``; ``username`` what Cognito's operations call them; ``email`` is lower case, and
    the username of somebody who has none. ``role`` None: in none of our groups, and so without any right."""

    TABLE: ClassVar[Table] = Table("user", key="userId", indexes=(Index("by-email", hash="listed", sort="email"),))

    user_id: str
    username: str
    email: str
    role: RoleName | None = None
    status: UserStatus
    pending: Pending | None = None
    #: Counts the changes that were asked for.
    changes: int = 0
    #: Why the last of them was not made.
    refused: str | None = None
    created_at: Timestamp
    last_login_at: Timestamp | None = None
    #: When we last changed something in the user pool ourselves; its lists may lag behind that.
    settled_at: Timestamp | None = None
    listed: str = LISTED

    def administers(self) -> bool:
        """Whether they can. Who never signed in may never do so."""
        return self.role == "ADMIN" and self.status is UserStatus.ACTIVE

    def is_waiting(self, now: datetime) -> bool:
        return self.pending is not None and now < self.pending.asked_at + SYNC_DEADLINE


class InvitationState(StrEnum):
    """``creating``: nobody of that address was in the pool before, so whoever is there now is who we made."""

    ASKED = "asked"
    CREATING = "creating"
    REFUSED = "refused"
    DONE = "done"


class Invitation(Item):
    """One address, invited once however often it is clicked. Listed until it is done."""

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
    """The ids of all who can administer and whom nobody has asked to take that from. One row, changed over the version that was
    read: two who take it from each other at the same moment meet here."""

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
    """Whether the change takes something from the person: then their sessions end."""
    lower = role is not None and user.role is not None and Role[role] < Role[user.role]
    return lower or status in ("disabled", "removed")


def takes_administration(user: User, role: RoleName | None, status: str | None) -> bool:
    """Whether the change takes an administrator away."""
    is_one = user.role == "ADMIN" and user.status is not UserStatus.DISABLED
    return is_one and (role not in (None, "ADMIN") or status in ("disabled", "removed"))
