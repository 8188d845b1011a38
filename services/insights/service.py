"""Delivery figures by channel and hour, and error rates, for the dashboard and alarms."""

from __future__ import annotations

from libs.common.declare.service import Service, every, on
from libs.messaging.events.dlq import AlarmChanged
from libs.messaging.events.insights import DeliveryAlarmChanged
from libs.messaging.events.messages import MessageChanged
from libs.messaging.exports import EXPORTS, CsvExport
from services.insights import alarms, handlers, http
from services.insights.model import DeadLetterAlarm, DeliveryAlarm, Figures, MessageGroup

service = Service(
    "insights",
    owns=[MessageGroup, Figures, DeliveryAlarm, DeadLetterAlarm, CsvExport],
    hears=[
        # A lane of its own: jobs cause thousands of these events, and no event waits for them.
        on(MessageChanged, handlers.message_changed, lane="counts"),
        on(AlarmChanged, handlers.letters_alarm),
    ],
    says=[DeliveryAlarmChanged],
    serves=http.router,
    every=[every(alarms.WATCH_SECONDS, alarms.watch_delivery)],
    needs=[EXPORTS],
)
