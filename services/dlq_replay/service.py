"""What died, why, and once more."""

from __future__ import annotations

from libs.common.declare.service import Service, every, on
from libs.messaging import template_copy
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.dlq import AlarmChanged, LetterDecided, LetterKept, ReplayJobChanged
from libs.messaging.events.messages import StandingTold
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.events.templates import TemplateChanged, TemplatesListed
from libs.messaging.permission import PermissionCopy
from libs.messaging.templates import TemplateCopy
from services.dlq_replay import alarms, handlers, http, replayer
from services.dlq_replay.model import DLQMessage, QueueAlarm, Watched
from services.dlq_replay.replay_job import ReplayChunk, ReplayJob

service = Service(
    "dlq-replay",
    owns=[DLQMessage, ReplayJob, ReplayChunk, QueueAlarm, Watched, TemplateCopy, PermissionCopy],
    hears_dead_letters=handlers.keep_letter,
    hears=[
        on(PermissionChanged, handlers.keep_permission),
        on(DeliveryChanged, handlers.watch_delivery),
        on(StandingTold, handlers.watch_delivery),
        on(TemplateChanged, template_copy.template_changed),
        on(TemplatesListed, template_copy.templates_listed),
    ],
    says=[LetterKept, LetterDecided, ReplayJobChanged, AlarmChanged],
    serves=http.router,
    every=[every(replayer.TICK_SECONDS, replayer.replay_letters), every(alarms.WATCH_SECONDS, alarms.watch_queues)],
)
