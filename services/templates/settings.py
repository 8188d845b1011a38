"""The settings of ``templates``."""

from __future__ import annotations

from pydantic import Field

from libs.common.settings import SettingsGroup


class TemplatesSettings(SettingsGroup):
    """Templates at the provider."""

    template_sync_seconds: int = Field(default=300, ge=10)
    """Interval in which the list of WhatsApp's templates is read without a notice."""
