"""Dead letters: storage, analysis, decisions and replay."""

from __future__ import annotations

from libs.common.declare.service import Service, every, on
from libs.messaging.events.dlq import AlarmChanged, LetterDecided, LetterKept, ReplayJobChanged
from libs.messaging.events.messages import StandingTold
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.permission_copy import PermissionCopy, permissions
from libs.messaging.template_copy import TemplateCopy, templates
from services.dlq_replay import alarms, handlers, http, replayer
from services.dlq_replay.model import DLQMessage, QueueAlarm, Watched
from services.dlq_replay.replay_job import ReplayChunk, ReplayJob

service = Service(
    "dlq-replay",
    owns=[DLQMessage, ReplayJob, ReplayChunk, QueueAlarm, Watched, TemplateCopy, PermissionCopy],
    hears_dead_letters=handlers.keep_letter,
    hears=[
        *permissions.hears(),
        on(DeliveryChanged, handlers.watch_delivery),
        on(StandingTold, handlers.watch_delivery),
        *templates.hears(),
    ],
    says=[LetterKept, LetterDecided, ReplayJobChanged, AlarmChanged],
    serves=http.router,
    every=[every(replayer.TICK_SECONDS, replayer.replay_letters), every(alarms.WATCH_SECONDS, alarms.watch_queues)],
)
