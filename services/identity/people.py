"""Stages changes of the rows of users and administrators, and returns the events to publish."""

from __future__ import annotations

from libs.common.declare.event import Event
from libs.common.handle.context import Context
from libs.messaging.events.identity import RoleName, UserChanged, UserRemoved
from services.identity.model import LISTED, Administrators, User
from services.identity.pool import Person


async def removed(ctx: Context, user: User) -> list[Event]:
    """Stages the removal of a user."""
    ctx.stage(ctx.delete(User, user.user_id))
    await count_administrator(ctx, user, gone=True)
    return [UserRemoved(user_id=user.user_id, email=user.email, role_before=user.role)]


async def count_administrator(ctx: Context, user: User, gone: bool = False) -> None:
    """Stages whether the user is one of the administrators."""
    row = await ctx.get(Administrators, LISTED) or Administrators()
    users = [each for each in row.users if each != user.user_id]
    if user.administers() and not gone:
        users.append(user.user_id)
    if users != row.users:
        stage_administrators(ctx, row, users)


def stage_administrators(ctx: Context, row: Administrators, users: list[str]) -> None:
    after = row.model_copy(update={"users": users})
    ctx.stage(ctx.replace(after) if row.version else ctx.insert(after.model_copy(update={"version": 1})))


def renewed(user: User | None, person: Person) -> User:
    """Returns the row updated from the pool."""
    profile = {"username": person.username, "email": person.email, "role": person.role, "status": person.status}
    if user is not None:
        return user.model_copy(update=profile)
    return User(user_id=person.user_id, created_at=person.created_at, version=1, **profile)


def changed(before: User | None, after: User) -> UserChanged:
    """Returns the event of a row that replaces ``before``."""
    role_before: RoleName | None = before.role if before else None
    return UserChanged(
        user_id=after.user_id,
        email=after.email,
        revision=before.version + 1 if before else after.version,
        role=after.role,
        status=after.status,
        role_before=role_before,
        status_before=before.status if before else None,
    )
