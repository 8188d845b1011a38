"""The declaration of ``contacts``: contacts and their consents by channel."""

from __future__ import annotations

from libs.common.declare.service import Service, on
from libs.messaging.events.contacts import (
    ConsentChanged,
    ContactCreated,
    ContactDeleted,
    ContactUpdated,
    ContactWroteIn,
    HelpAsked,
    OptedBackIn,
    OptOutEffective,
    PermissionChanged,
    SuppressionLifted,
)
from libs.messaging.events.inbound import AddressSuppressed, MessageReceived, PreferenceChanged, Unsubscribed
from libs.messaging.events.outbound import OptOutFound, PermissionApplied
from libs.messaging.optout import keywords_of
from libs.messaging.setting_copy import SettingsCopy, configured
from libs.messaging.settings import MessagingSettings
from services.contacts import handlers, http, suppressions
from services.contacts.model import AddressClaim, Contact, Evidence, SearchTerm

service = Service(
    "contacts",
    owns=[Contact, AddressClaim, Evidence, SearchTerm, SettingsCopy],
    hears=[
        on(MessageReceived, handlers.receive_message, ledger=True),
        on(PreferenceChanged, handlers.note_preference, ledger=True),
        on(PermissionApplied, handlers.note_applied, ledger=True),
        on(AddressSuppressed, suppressions.suppress_address, ledger=True),
        on(Unsubscribed, suppressions.unsubscribe, ledger=True),
        on(OptOutFound, handlers.note_found_out, ledger=True),
        *configured.hears(),
    ],
    says=[
        ContactCreated,
        ContactUpdated,
        ContactDeleted,
        ConsentChanged,
        PermissionChanged,
        ContactWroteIn,
        OptOutEffective,
        OptedBackIn,
        HelpAsked,
        SuppressionLifted,
    ],
    serves=http.router,
    checks=lambda settings: keywords_of(settings.of(MessagingSettings)),
)
