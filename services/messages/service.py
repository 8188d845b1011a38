"""The declaration of ``messages``."""

from __future__ import annotations

from libs.common.declare.service import Service, every, on
from libs.messaging import setting_copy, template_copy
from libs.messaging.events.contacts import (
    ContactWroteIn,
    HelpAsked,
    OptedBackIn,
    OptOutEffective,
    PermissionChanged,
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
from libs.messaging.events.templates import TemplateChanged, TemplatesListed
from libs.messaging.file_copy import FileCopy, forget_file
from libs.messaging.permission import PermissionCopy
from libs.messaging.setting_copy import SettingsCopy
from libs.messaging.templates import TemplateCopy
from services.messages import auto_replies, files, handlers, http, overdue
from services.messages.model import Conversation, Message, Orphan, ProviderId

service = Service(
    "messages",
    owns=[Message, Conversation, ProviderId, Orphan, PermissionCopy, FileCopy, TemplateCopy, SettingsCopy],
    hears=[
        on(PermissionChanged, handlers.keep_permission),
        on(ContactWroteIn, handlers.store_inbound),
        on(DeliveryChanged, handlers.fold_delivery),
        on(ReceiptReceived, handlers.fold_receipt),
        on(LetterKept, handlers.tell_standing),
        on(TemplateChanged, template_copy.template_changed),
        on(TemplatesListed, template_copy.templates_listed),
        *setting_copy.hears(),
        on(OptOutEffective, auto_replies.confirm_opt_out, ledger=True),
        on(OptedBackIn, auto_replies.confirm_opt_in, ledger=True),
        on(HelpAsked, auto_replies.give_help, ledger=True),
        on(MediaStored, files.note_file),
        on(MediaDeleted, forget_file),
    ],
    says=[MessageQueued, MessageChanged, MessageConfirmed, CancelAsked, MessageDeleted, StandingTold],
    serves=http.router,
    every=[every(overdue.TICK_SECONDS, overdue.settle_overdue)],
    gives_up=overdue.fail_unpublishable,
)
