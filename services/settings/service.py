"""Settings that can be changed at run time, with their history."""

from __future__ import annotations

from libs.common.declare.service import Service, every
from libs.messaging.events.settings import SettingChanged, SettingTold
from services.settings import http, republish
from services.settings.model import SettingVersion, SystemConfig

service = Service(
    "settings",
    owns=[SystemConfig, SettingVersion],
    says=[SettingChanged, SettingTold],
    serves=http.router,
    every=[every(republish.REPUBLISH_SECONDS, republish.tell)],
)
