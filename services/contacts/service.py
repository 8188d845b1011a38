"""Who we may talk to, and on which channels they said yes."""

from __future__ import annotations

from libs.common.service import Service, on
from libs.messaging.events.contacts import (
    ConsentChanged,
    ContactCreated,
    ContactDeleted,
    ContactUpdated,
    ContactWroteIn,
    OptOutEffective,
    PermissionChanged,
)
from libs.messaging.events.inbound import MessageReceived, PreferenceChanged
from libs.messaging.events.outbound import PermissionApplied
from services.contacts import handlers, http
from services.contacts.model import AddressClaim, Contact, Evidence, SearchTerm

service = Service(
    "contacts",
    owns=[Contact, AddressClaim, Evidence, SearchTerm],
    hears=[
        on(MessageReceived, handlers.receive_message, ledger=True),
        on(PreferenceChanged, handlers.note_preference, ledger=True),
        on(PermissionApplied, handlers.note_applied, ledger=True),
    ],
    says=[
        ContactCreated,
        ContactUpdated,
        ContactDeleted,
        ConsentChanged,
        PermissionChanged,
        ContactWroteIn,
        OptOutEffective,
    ],
    serves=http.router,
)
