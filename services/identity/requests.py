"""Requests of administrators, and the time of a user's last sign-in. An accepted request is published, and applied by
the handler."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from libs.common.declare.wire import Body, TrimmedBody
from libs.common.errors import Problem, invalid
from libs.common.handle.context import Context, Done
from libs.messaging.addresses import EMAIL
from libs.messaging.events.identity import InvitationAsked, RoleName, UserChangeAsked, UserStatus
from services.identity.model import (
    LISTED,
    Administrators,
    Invitation,
    InvitationState,
    Pending,
    Reading,
    User,
    takes_administration,
)
from services.identity.people import stage_administrators

#: Cognito's limit of a username; users sign in with their address.
MAX_EMAIL_LENGTH = 128


class Invite(TrimmedBody):
    """An invitation. The address is case-insensitive."""

    email: str = Field(min_length=3, max_length=MAX_EMAIL_LENGTH)
    role: RoleName


class ChangeUser(Body):
    """A change. At least one field; fields not given stay unchanged."""

    role: RoleName | None = None
    status: Literal["active", "disabled"] | None = None


async def invite(body: Invite, ctx: Context) -> Done[Invitation]:
    """Accepts an invitation. Raises Problem: VALIDATION_FAILED, USER_EXISTS, INVITATION_PENDING."""
    email = body.email.lower()
    if not EMAIL.fullmatch(email):
        raise invalid("email", "Write an address such as ann@example.com.")
    before = await ctx.get(Invitation, Invitation.id_of(email))
    await _refuse_known(ctx, email, before)
    if before is not None and before.is_waiting(ctx.now):
        raise Problem(
            409, "INVITATION_PENDING", "This address is being invited", "Look at the invitations in a moment."
        )
    row = Invitation(
        invitation_id=Invitation.id_of(email),
        email=email,
        role=body.role,
        # A user that an earlier attempt may have created still belongs to this invitation.
        state=before.state if before and before.state is InvitationState.CREATING else InvitationState.ASKED,
        asking=before.asking + 1 if before else 1,
        asked_by=ctx.actor,
        asked_at=ctx.now,
        version=1,
    )
    ctx.stage(ctx.upsert(row, before))
    event = InvitationAsked(invitation_id=row.invitation_id, asking=row.asking)
    return Done(row, (event,), after={"role": row.role})


async def _refuse_known(ctx: Context, email: str, invitation: Invitation | None) -> None:
    page = await ctx.query(User, LISTED, index="by-email", between=(email, email), limit=1)
    known = page.items[0] if page.items else None
    if known is None and invitation is not None and invitation.user_id:
        # The index may lag behind.
        known = await ctx.get(User, invitation.user_id)
    if known is not None and known.email == email:
        do = "Change their role or enable them instead."
        raise Problem(409, "USER_EXISTS", "Somebody with this address is here already", do, userId=known.user_id)


async def change_user(user_id: str, body: ChangeUser, ctx: Context) -> Done[User]:
    """Accepts a change of a user. Raises Problem: VALIDATION_FAILED, USER_NOT_FOUND, OWN_USER, CHANGE_PENDING,
    LAST_ADMIN."""
    if body.role is None and body.status is None:
        raise invalid("role", "Give role or status, or both.")
    user = await _changeable(ctx, user_id)
    role = None if body.role == user.role else body.role
    is_disabled = user.status is UserStatus.DISABLED
    status = None if body.status is None or is_disabled == (body.status == "disabled") else body.status
    if role is None and status is None:
        return Done(user)
    return await _accepted(ctx, user, role, status)


async def remove_user(user_id: str, ctx: Context) -> Done[User]:
    """Accepts the removal of a user. Raises Problem: as above."""
    return await _accepted(ctx, await _changeable(ctx, user_id), None, "removed")


async def _changeable(ctx: Context, user_id: str) -> User:
    user = await existing(ctx, user_id)
    if ctx.actor == f"user:{user_id}":
        raise Problem(409, "OWN_USER", "Nobody changes their own role or access", "Ask another administrator to do it.")
    if user.is_waiting(ctx.now):
        raise Problem(409, "CHANGE_PENDING", "Another change of this person is on its way", "Try again in a moment.")
    return user


async def _accepted(
    ctx: Context, user: User, role: RoleName | None, status: Literal["active", "disabled", "removed"] | None
) -> Done[User]:
    if takes_administration(user, role, status):
        row = await ctx.get(Administrators, LISTED) or Administrators()
        others = [each for each in row.users if each != user.user_id]
        if not others:
            do = "Make somebody else ADMIN first; they count once they have signed in."
            raise Problem(409, "LAST_ADMIN", "Nobody else could administer then", do)
        # Also if the user was not in it: a concurrent removal of another administrator must conflict with this write.
        stage_administrators(ctx, row, others)
    number = user.changes + 1
    pending = Pending(number=number, role=role, status=status, asked_by=ctx.actor, asked_at=ctx.now)
    after = user.model_copy(update={"pending": pending, "changes": number, "refused": None})
    ctx.stage(ctx.replace(after))
    event = UserChangeAsked(user_id=user.user_id, change=number, role=role, status=status)
    before = {"role": user.role, "status": user.status}
    return Done(after, (event,), before, {"role": role or user.role, "status": status or user.status})


async def existing(ctx: Context, user_id: str) -> User:
    """Returns the user. Raises Problem USER_NOT_FOUND."""
    user = await ctx.get(User, user_id)
    if user is None:
        raise Problem(404, "USER_NOT_FOUND", "There is no such user")
    return user


async def note_login(ctx: Context) -> User | None:
    """Returns the caller's row with the time of the sign-in, which is written once for each sign-in. None: not yet read
    from the user pool; a read is then scheduled soon."""
    assert ctx.caller is not None
    user = await ctx.get(User, ctx.caller.subject)
    if user is None or user.status is UserStatus.INVITED:
        await _read_soon(ctx)
    at = ctx.caller.signed_in_at
    if user is None or at is None or (user.last_login_at is not None and at <= user.last_login_at):
        return user
    after = user.model_copy(update={"last_login_at": at})
    # If the row is changed concurrently, the next request writes it.
    await ctx.write(ctx.replace(after))
    return after


async def _read_soon(ctx: Context) -> None:
    reading = await ctx.get(Reading, LISTED)
    if reading is not None and reading.due > ctx.now:
        await ctx.write(ctx.replace(reading.model_copy(update={"due": ctx.now})))
