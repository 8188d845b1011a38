"""What died, why, and once more."""

from __future__ import annotations

from libs.common.service import Service, every, on
from libs.messaging import template_copy
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.dlq import LetterDecided, LetterKept, ReplayJobChanged
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.events.templates import TemplateChanged, TemplatesListed
from libs.messaging.permission import Permission
from libs.messaging.templates import TemplateCopy
from services.dlq_replay import handlers, http, replayer
from services.dlq_replay.model import DLQMessage, ReplayChunk, ReplayJob, Watched

service = Service(
    "dlq-replay",
    owns=[DLQMessage, ReplayJob, ReplayChunk, Watched, TemplateCopy, Permission],
    hears_letters=handlers.keep_letter,
    hears=[
        on(PermissionChanged, handlers.keep_permission),
        on(DeliveryChanged, handlers.watch_delivery),
        on(TemplateChanged, template_copy.template_changed),
        on(TemplatesListed, template_copy.templates_listed),
    ],
    says=[LetterKept, LetterDecided, ReplayJobChanged],
    serves=http.router,
    every=[every(replayer.SECONDS, replayer.replay_letters)],
)
