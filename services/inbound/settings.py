"""The settings of ``inbound``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from libs.common.settings import SettingsGroup, from_json


class InboundSettings(SettingsGroup):
    """What providers may send."""

    sns_webhook_topics: Annotated[dict[str, tuple[str, ...]], BeforeValidator(from_json)] = Field(default_factory=dict)
    """Feed -> ARNs of the SNS topics that are accepted at `/webhooks/sns/<feed>`, as JSON. Default: none."""
