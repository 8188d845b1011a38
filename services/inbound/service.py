"""The declaration of ``inbound``: provider feeds become typed events. Its translators are found in ``channels/``."""

from __future__ import annotations

import importlib
import pkgutil

from libs.common.declare.service import Grant, Secret, Service
from libs.common.hosts.http.routes import Api
from libs.messaging import unsubscribe
from libs.messaging.events.inbound import (
    AccountNoticed,
    AddressSuppressed,
    ConversationNoticed,
    EmailStored,
    MessageReceived,
    PreferenceChanged,
    ReceiptReceived,
    Unsubscribed,
)
from services.inbound import channels, http, unknown_members
from services.inbound.contract import Translator

#: By the name of the module or package under ``channels/``.
TRANSLATORS: dict[str, Translator] = {
    name: importlib.import_module(f"{channels.__name__}.{name}").translator
    for _, name, _ in pkgutil.iter_modules(channels.__path__)
}
_FOUND = TRANSLATORS.values()

service = Service(
    "inbound",
    feeds=[feed for each in _FOUND for feed in each.feeds],
    hears=[heard for each in _FOUND for heard in each.hears],
    says=[
        MessageReceived,
        ReceiptReceived,
        AccountNoticed,
        PreferenceChanged,
        AddressSuppressed,
        ConversationNoticed,
        EmailStored,
        Unsubscribed,
    ],
    serves=Api([*(route for each in _FOUND for route in each.serves.routes), *http.router.routes]),
    counts=unknown_members.count,
    needs=[
        *(need for each in _FOUND for need in each.needs),
        Secret(unsubscribe.SECRET),
        Grant(("sns:ConfirmSubscription",)),
    ],
)
