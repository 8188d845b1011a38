"""The declaration of ``messages``."""

from __future__ import annotations

from libs.common.declare.service import Service, every, on
from libs.messaging.events.contacts import (
    ContactWroteIn,
    HelpAsked,
    OptedBackIn,
    OptOutEffective,
)
from libs.messaging.events.dlq import LetterKept
from libs.messaging.events.inbound import ReceiptReceived
from libs.messaging.events.media import MediaDeleted, MediaStored
from libs.messaging.events.messages import (
    CancelAsked,
    MessageChanged,
    MessageConfirmed,
    MessageDeleted,
    MessageQueued,
    StandingTold,
)
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.file_copy import FileCopy, stored_files
from libs.messaging.permission_copy import PermissionCopy, permissions
from libs.messaging.setting_copy import SettingsCopy, configured
from libs.messaging.template_copy import TemplateCopy, templates
from services.messages import auto_replies, files, handlers, http, overdue
from services.messages.model import Conversation, Message, Orphan, ProviderId

service = Service(
    "messages",
    owns=[Message, Conversation, ProviderId, Orphan, PermissionCopy, FileCopy, TemplateCopy, SettingsCopy],
    hears=[
        *permissions.hears(),
        on(ContactWroteIn, handlers.store_inbound),
        on(DeliveryChanged, handlers.fold_delivery),
        on(ReceiptReceived, handlers.fold_receipt),
        on(LetterKept, handlers.tell_standing),
        *templates.hears(),
        *configured.hears(),
        on(OptOutEffective, auto_replies.confirm_opt_out, ledger=True),
        on(OptedBackIn, auto_replies.confirm_opt_in, ledger=True),
        on(HelpAsked, auto_replies.give_help, ledger=True),
        on(MediaStored, files.note_file),
        on(MediaDeleted, stored_files.handler),
    ],
    says=[MessageQueued, MessageChanged, MessageConfirmed, CancelAsked, MessageDeleted, StandingTold],
    serves=http.router,
    every=[every(overdue.TICK_SECONDS, overdue.settle_overdue)],
    gives_up=overdue.fail_unpublishable,
)
