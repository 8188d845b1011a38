"""Event handlers of ``identity``: apply accepted changes to the user pool and publish the result. All by ledger; each
step is idempotent, so a redelivery completes it."""

from __future__ import annotations

from libs.common.declare.event import Event
from libs.common.handle.context import Context
from libs.messaging.events.identity import (
    InvitationAsked,
    InvitationRefused,
    UserChangeAsked,
    UserChangeRefused,
    UserInvited,
)
from services.identity import pool
from services.identity.model import Invitation, InvitationState, Pending, User, takes_administration, takes_away
from services.identity.people import changed, count_administrator, removed, renewed
from services.identity.pool import Person

_TAKEN = "Somebody with this address is in the user pool already; they show up in the list of users within minutes."
_LAST = "Nobody else in the user pool is an administrator who can sign in."


async def invite(event: InvitationAsked, ctx: Context) -> list[Event]:
    """Creates the user in the pool, which sends the invitation, and assigns the role. Leaves an existing user
    unchanged."""
    row = await ctx.get(Invitation, event.invitation_id)
    if row is None or row.asking != event.asking or row.state in (InvitationState.REFUSED, InvitationState.DONE):
        return []
    if row.state is InvitationState.ASKED:
        if await pool.find(ctx, row.email) is not None:
            return _turned_down(ctx, row, _TAKEN)
        # Written before the user is created: if the response is lost, the user found at the next attempt was created by
        # this invitation.
        creating = row.model_copy(update={"state": InvitationState.CREATING})
        await ctx.save(creating, over=row)
        row = creating.model_copy(update={"version": row.version + 1})
    try:
        await pool.create(ctx, row.email)
    except pool.Refused as refusal:
        return _turned_down(ctx, row, str(refusal))
    await pool.set_role(ctx, row.email, row.role)
    person = await pool.find(ctx, row.email)
    if person is None:
        raise pool.NoSuchPerson
    known = await ctx.get(User, person.user_id)
    user = renewed(known, person).model_copy(update={"settled_at": ctx.now})
    ctx.stage(ctx.upsert(user, known))
    done = {"state": InvitationState.DONE, "user_id": person.user_id, "listed": None}
    ctx.stage(ctx.replace(row.model_copy(update=done)))
    return [UserInvited(user_id=person.user_id, email=row.email, role=row.role)]


def _turned_down(ctx: Context, row: Invitation, reason: str) -> list[Event]:
    ctx.stage(ctx.replace(row.model_copy(update={"state": InvitationState.REFUSED, "reason": reason})))
    return [InvitationRefused(invitation_id=row.invitation_id, email=row.email, role=row.role, reason=reason)]


async def change(event: UserChangeAsked, ctx: Context) -> list[Event]:
    """Changes, disables, enables or removes a user in the pool. A change that reduces rights ends the user's
    sessions."""
    user = await ctx.get(User, event.user_id)
    if user is None or user.pending is None or user.pending.number != event.change:
        return []
    wanted = user.pending
    # The check at the request used the service's own rows; the pool may have been changed directly since then.
    if takes_administration(user, wanted.role, wanted.status) and not await pool.has_other_admin(ctx, user.user_id):
        return await _left_alone(ctx, user, _LAST)
    try:
        person = await _made(ctx, user, wanted)
    except pool.NoSuchPerson:
        person = None
    except pool.Refused as refusal:
        return await _left_alone(ctx, user, str(refusal))
    if person is None:
        return await removed(ctx, user)
    after = renewed(user, person).model_copy(update={"pending": None, "refused": None, "settled_at": ctx.now})
    ctx.stage(ctx.replace(after))
    await count_administrator(ctx, after)
    return [changed(user, after)]


async def _made(ctx: Context, user: User, wanted: Pending) -> Person | None:
    """Returns the user after the change; None: removed. Raises NoSuchPerson, Refused."""
    if wanted.status == "removed":
        await pool.remove(ctx, user.username)
        return None
    if wanted.status == "disabled":
        await pool.disable(ctx, user.username)
    if wanted.role is not None:
        await pool.set_role(ctx, user.username, wanted.role)
    if wanted.status == "active":
        await pool.enable(ctx, user.username)
    if takes_away(user, wanted.role, wanted.status):
        await pool.end_sessions(ctx, user.username)
    return await pool.find(ctx, user.username)


async def _left_alone(ctx: Context, user: User, reason: str) -> list[Event]:
    assert user.pending is not None
    after = user.model_copy(update={"pending": None, "refused": reason})
    ctx.stage(ctx.replace(after))
    await count_administrator(ctx, after)
    return [UserChangeRefused(user_id=user.user_id, change=user.pending.number, reason=reason)]
