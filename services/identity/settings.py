"""The settings of ``identity``."""

from __future__ import annotations

from pydantic import Field

from libs.common.settings import SettingsGroup


class IdentitySettings(SettingsGroup):
    """Users who sign in."""

    user_sync_seconds: int = Field(default=300, ge=10)
    """Interval (s) of reading the users of the user pool, to find those added, changed or removed outside the
    platform."""
