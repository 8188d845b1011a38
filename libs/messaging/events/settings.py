"""What ``settings`` says: how the platform is configured."""

from __future__ import annotations

from typing import Any

from libs.common.clock import Timestamp
from libs.common.declare.event import Event


class SettingChanged(Event):
    """Somebody set it, or set it back to its default: then there is no ``value``. Replaces what was said before, by ``revision``."""

    TYPE = "settings.changed.v1"
    ABOUT = "key"

    key: str
    revision: int
    value: Any = None
    #: What was in force.
    before: Any = None
    by: str
    at: Timestamp


class SettingTold(Event):
    """How it stands, said again now and then for whoever began to listen since."""

    TYPE = "settings.told.v1"
    ABOUT = "key"

    key: str
    revision: int
    value: Any = None
