"""What died, why, and once more."""

from __future__ import annotations

from libs.common.service import Service, every, on
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.dlq import LetterDecided, LetterKept, ReplayJobChanged
from libs.messaging.events.inbound import AccountNoticed
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.permission import Permission
from services.dlq_replay import handlers, http, replayer
from services.dlq_replay.model import DLQMessage, ReplayChunk, ReplayJob, TemplateStanding, Watched

service = Service(
    "dlq-replay",
    owns=[DLQMessage, ReplayJob, ReplayChunk, Watched, TemplateStanding, Permission],
    hears_letters=handlers.keep_letter,
    hears=[
        on(PermissionChanged, handlers.keep_permission),
        on(DeliveryChanged, handlers.watch_delivery),
        on(AccountNoticed, handlers.note_template),
    ],
    says=[LetterKept, LetterDecided, ReplayJobChanged],
    serves=http.router,
    every=[every(replayer.SECONDS, replayer.replay_letters)],
)
