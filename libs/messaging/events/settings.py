"""Events that ``settings`` publishes: the configuration of the platform."""

from __future__ import annotations

from typing import Any

from libs.common.clock import Timestamp
from libs.common.declare.event import Event


class SettingChanged(Event):
    """A setting was set, or reset to its default (``value`` is then None). Replaces the previous value, by
    ``revision``."""

    TYPE = "settings.changed.v1"
    ABOUT = "key"

    key: str
    revision: int
    value: Any = None
    #: The value previously in force.
    before: Any = None
    by: str
    at: Timestamp


class SettingTold(Event):
    """The current value of a setting, republished periodically for services that subscribed later."""

    TYPE = "settings.told.v1"
    ABOUT = "key"

    key: str
    revision: int
    value: Any = None
