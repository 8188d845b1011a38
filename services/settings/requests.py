"""Changes and resets settings. A request includes the version that was read, so that concurrent changes are not
overwritten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from libs.common.clock import iso
from libs.common.declare.wire import Body
from libs.common.errors import Problem, invalid, invalid_fields
from libs.common.handle.context import Context, Done
from libs.messaging.configuration import CATALOGUE, Setting, Unfit, applied
from libs.messaging.events.settings import SettingChanged
from libs.messaging.settings import MessagingSettings
from services.settings.model import SettingVersion, SystemConfig
from services.settings.stored import stored


class SetBack(Body):
    #: The version that was read; 0 for a setting that was never changed.
    version: int = Field(ge=0)


class Change(SetBack):
    value: Any


@dataclass(frozen=True)
class SettingState:
    """The current state of a setting: ``value`` is in force, ``row`` is None if it was never changed."""

    setting: Setting
    value: Any
    default: Any
    row: SystemConfig | None


async def change(key: str, body: Change, ctx: Context) -> Done[SettingState]:
    """Changes a setting. Raises Problem: SETTING_NOT_FOUND, VERSION_CONFLICT with the newer version,
    VALIDATION_FAILED."""
    setting = known(key)
    if body.value is None:
        raise invalid("value", "Give a value; to set it back to its default, POST to …/reset.")
    rows, environment = await stored(ctx), ctx.settings.of(MessagingSettings)
    _seen(setting, rows.get(key), body.version, ctx)
    others = {name: row.value for name, row in rows.items() if name != key and row.value is not None}
    try:
        value = setting.accepted(body.value, applied(environment, others))
    except Unfit as unfit:
        raise invalid_fields(unfit.errors) from None
    return _written(setting, rows.get(key), setting.of(environment.model_copy(update={setting.field: value})), ctx)


async def set_back(key: str, body: SetBack, ctx: Context) -> Done[SettingState]:
    """Resets a setting to the environment's value. Raises Problem: SETTING_NOT_FOUND, VERSION_CONFLICT,
    VALIDATION_FAILED if the default conflicts with the other settings."""
    setting = known(key)
    rows, environment = await stored(ctx), ctx.settings.of(MessagingSettings)
    _seen(setting, rows.get(key), body.version, ctx)
    others = {name: row.value for name, row in rows.items() if name != key and row.value is not None}
    try:
        setting.accepted(setting.of(environment), applied(environment, others))
    except Unfit as unfit:
        raise invalid_fields(unfit.errors) from None
    return _written(setting, rows.get(key), None, ctx)


def _seen(setting: Setting, row: SystemConfig | None, version: int, ctx: Context) -> None:
    stands = row.version if row else 0
    if version != stands:
        now: dict[str, Any] = {"value": state_of(setting, row, ctx).value, "version": stands}
        if row is not None:
            now |= {"updatedBy": row.updated_by, "updatedAt": iso(row.updated_at)}
        raise Problem(
            409,
            "VERSION_CONFLICT",
            "It was changed meanwhile",
            f"Look at what it is now, and send version {stands} with what you want.",
            current=now,
        )


def _written(setting: Setting, row: SystemConfig | None, value: Any, ctx: Context) -> Done[SettingState]:
    if (row.value if row else None) == value:
        return Done(state_of(setting, row, ctx))
    number = row.version + 1 if row else 1
    after = SystemConfig(name=setting.key, value=value, updated_by=ctx.actor, updated_at=ctx.now, version=number)
    ctx.stage(ctx.upsert(after, row), ctx.insert(SettingVersion.of(after, number)))
    events = SettingChanged(
        key=setting.key,
        revision=number,
        value=value,
        before=state_of(setting, row, ctx).value,
        by=ctx.actor,
        at=ctx.now,
    )
    # The values are in the settings' own history only: a value may be a name.
    return Done(state_of(setting, after, ctx), (events,), {"version": row.version if row else 0}, {"version": number})


def known(key: str) -> Setting:
    """Returns the setting. Raises Problem SETTING_NOT_FOUND."""
    setting = CATALOGUE.get(key)
    if setting is None:
        raise Problem(
            404, "SETTING_NOT_FOUND", "There is no such setting", f"There are: {', '.join(sorted(CATALOGUE))}."
        )
    return setting


def state_of(setting: Setting, row: SystemConfig | None, ctx: Context) -> SettingState:
    set_to = {setting.key: row.value} if row is not None and row.value is not None else {}
    environment = ctx.settings.of(MessagingSettings)
    return SettingState(setting, setting.of(applied(environment, set_to)), setting.of(environment), row)
