"""HTTP routes of ``/api/settings``."""

from __future__ import annotations

from typing import Any

from libs.common.aws.auth import Role
from libs.common.clock import Timestamp
from libs.common.declare.wire import PageView, View
from libs.common.handle.context import Context, Done
from libs.common.hosts.http.routes import SMALL_MAX_BODY_BYTES, Api, Cursor, Limit
from libs.messaging.configuration import CATALOGUE
from services.settings import requests
from services.settings.model import SettingVersion, SystemConfig
from services.settings.requests import Change, SetBack, SettingState
from services.settings.stored import stored

router = Api()


class SettingView(View):
    """A setting. ``value`` is in force; ``default`` is the environment's; ``valueSchema`` is the JSON Schema of its
    values. ``version`` is required for a change."""

    key: str
    value: Any
    default: Any
    is_default: bool
    description: str
    unit: str
    value_schema: dict[str, Any]
    version: int
    updated_by: str | None = None
    updated_at: Timestamp | None = None


class SettingList(View):
    items: list[SettingView]


class VersionView(View):
    """One version. Without ``value`` it was a reset to the default at that time."""

    number: int
    value: Any = None
    updated_by: str
    updated_at: Timestamp


class VersionPage(PageView[VersionView]):
    pass


@router.read("GET", "/api/settings", role=Role.VIEWER)
async def list_settings(ctx: Context) -> SettingList:
    """Returns all settings that can be changed at run time."""
    rows = await stored(ctx)
    found = [requests.state_of(setting, rows.get(key), ctx) for key, setting in sorted(CATALOGUE.items())]
    return SettingList(items=[_view(each) for each in found])


@router.read("GET", "/api/settings/{key}", role=Role.VIEWER)
async def read_setting(key: str, ctx: Context) -> SettingView:
    """Returns one setting."""
    setting = requests.known(key)
    return _view(requests.state_of(setting, await ctx.get(SystemConfig, key), ctx))


@router.write("PUT", "/api/settings/{key}", role=Role.ADMIN)
async def change_setting(key: str, body: Change, ctx: Context) -> Done[SettingView]:
    """Changes a setting, conditional on the version that was read. In force within seconds, without a restart."""
    done = await requests.change(key, body, ctx)
    return done.shown(_view(done.value))


@router.write("POST", "/api/settings/{key}/reset", role=Role.ADMIN, max_bytes=SMALL_MAX_BODY_BYTES)
async def reset_setting(key: str, body: SetBack, ctx: Context) -> Done[SettingView]:
    """Resets a setting to its default, conditional on the version that was read."""
    done = await requests.set_back(key, body, ctx)
    return done.shown(_view(done.value))


@router.read("GET", "/api/settings/{key}/history", role=Role.VIEWER)
async def read_history(key: str, ctx: Context, limit: Limit = 50, cursor: Cursor = None) -> VersionPage:
    """Returns the values, with author and time, newest first."""
    requests.known(key)
    page = await ctx.query(SettingVersion, key, limit=limit, cursor=cursor, newest_first=True)
    return VersionPage(items=[VersionView.model_validate(each) for each in page.items], cursor=page.cursor)


def _view(stands: SettingState) -> SettingView:
    row = stands.row
    return SettingView(
        key=stands.setting.key,
        value=stands.value,
        default=stands.default,
        is_default=row is None or row.value is None,
        description=stands.setting.description,
        unit=stands.setting.unit,
        value_schema=stands.setting.schema(),
        version=row.version if row else 0,
        updated_by=row.updated_by if row else None,
        updated_at=row.updated_at if row else None,
    )
