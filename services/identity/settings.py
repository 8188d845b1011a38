"""The settings of ``identity``."""

from __future__ import annotations

from pydantic import Field

from libs.common.settings import SettingsGroup


class IdentitySettings(SettingsGroup):
    """People who sign in."""

    user_sync_seconds: int = Field(default=300, ge=10)
    """How often the people of the user pool are read, to find those who came or went by other ways than ours."""
