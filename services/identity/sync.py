"""Synchronises users from the user pool: soon after the start, then every few minutes. This finds users created
elsewhere (by the stack, or by an administrator in the console), and changes made there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import structlog

from libs.common.declare.service import TickAction
from libs.common.handle.context import Context
from libs.messaging.events.identity import UserRemoved
from services.identity import pool
from services.identity.model import LISTED, Administrators, Reading, User, takes_administration
from services.identity.people import changed, renewed
from services.identity.pool import Person
from services.identity.settings import IdentitySettings

#: How often it is checked whether a synchronisation is due.
CHECK_SECONDS = 5
#: Delay after a failed synchronisation.
RESYNC_DELAY = timedelta(seconds=20)
#: Cognito's lists may lag behind its changes, including those of the platform.
MAX_POOL_LAG = timedelta(minutes=2)

log = structlog.get_logger()


async def sync(ctx: Context) -> AsyncIterator[TickAction]:
    """Yields a step for each new or changed user, one for the administrators, and one for the synchronisation
    itself."""
    reading = await _turn(ctx)
    if reading is None:
        return
    try:
        people = {person.user_id: person for person in await pool.list_people(ctx)}
    except Exception as error:
        log.warning("the user pool could not be read", error=type(error).__name__)
        return
    known = {user.user_id: user async for user in ctx.query_all(User, LISTED, index="by-email", limit=100)}
    for person in people.values():
        step = _renewed(ctx, reading, known.get(person.user_id), person)
        if step is not None:
            yield step
    for user in known.values():
        if people and user.user_id not in people and _is_settled(ctx, user):
            events = UserRemoved(user_id=user.user_id, email=user.email, role_before=user.role)
            yield TickAction(f"{user.user_id}#{user.version}#gone", (ctx.delete(User, user.user_id),), (events,))
    admins = {user.user_id for user in known.values() if user.role == "ADMIN"}
    admins |= {person.user_id for person in people.values() if person.role == "ADMIN"}
    counted = await _counted(ctx, admins)
    if counted is not None:
        yield counted
    quiet = timedelta(seconds=ctx.settings.of(IdentitySettings).user_sync_seconds)
    done = reading.model_copy(update={"read_at": ctx.now, "due": ctx.now + quiet})
    yield TickAction(f"read#{reading.version}", (ctx.replace(done),))


async def _turn(ctx: Context) -> Reading | None:
    """Returns the row if a synchronisation is due and no other process runs one: the process that advances the time
    runs it."""
    if not ctx.settings.user_pool_id:
        return None
    reading = await ctx.get(Reading, LISTED)
    if reading is not None and ctx.now < reading.due:
        return None
    after = (reading or Reading(due=ctx.now, version=1)).model_copy(update={"due": ctx.now + RESYNC_DELAY})
    if not await ctx.write(ctx.upsert(after, reading)):
        return None
    return after.model_copy(update={"version": reading.version + 1}) if reading else after


def _is_settled(ctx: Context, user: User) -> bool:
    """Whether the list is newer than the platform's last change of the user."""
    return not user.is_waiting(ctx.now) and (user.settled_at is None or ctx.now >= user.settled_at + MAX_POOL_LAG)


def _renewed(ctx: Context, reading: Reading, user: User | None, person: Person) -> TickAction | None:
    after = renewed(user, person)
    if user is None:
        return TickAction(f"{person.user_id}#new#{reading.version}", (ctx.insert(after),), (changed(None, after),))
    if after == user or not _is_settled(ctx, user):
        return None
    return TickAction(f"{user.user_id}#{user.version}", (ctx.replace(after),), (changed(user, after),))


async def _counted(ctx: Context, admins: set[str]) -> TickAction | None:
    """Returns the step that stores the current administrators, without those with a pending change that removes their
    rights."""
    row = await ctx.get(Administrators, LISTED)
    rows = [await ctx.get(User, user_id) for user_id in sorted(admins)]
    users = [user.user_id for user in rows if user is not None and user.administers() and not _leaves(ctx, user)]
    if row is None:
        first = Administrators(users=users, version=1)
        return TickAction("administrators#1", (ctx.insert(first),))
    if sorted(row.users) == users:
        return None
    return TickAction(f"administrators#{row.version + 1}", (ctx.replace(row.model_copy(update={"users": users})),))


def _leaves(ctx: Context, user: User) -> bool:
    wanted = user.pending if user.is_waiting(ctx.now) else None
    return wanted is not None and takes_administration(user, wanted.role, wanted.status)
