"""The senders' settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from libs.common.settings import SettingsGroup


class OutboundSettings(SettingsGroup):
    """Sending."""

    send_mode: Literal["LIVE", "DRY_RUN"] = "DRY_RUN"
    """`LIVE` calls the provider; `DRY_RUN` records what would have been sent."""
    claim_seconds: float = Field(default=30.0, gt=0)
    """The lease on a send: the provider's call must be over by then, or its outcome is uncertain."""
