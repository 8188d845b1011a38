"""The sender of e-mail."""

from __future__ import annotations

from libs.common.service import Grant, Secret, on
from libs.messaging import unsubscribe
from libs.messaging.events.contacts import SuppressionLifted
from libs.messaging.words import Channel
from services.outbound.email import handlers
from services.outbound.email.channel import EmailChannel
from services.outbound.email.prepare import prepare
from services.outbound.email.quota import Quota
from services.outbound.family import sender

service = sender(
    EmailChannel(),
    Quota().limits,
    needs=[
        Grant(("ses:SendEmail", "ses:GetAccount", "ses:DeleteSuppressedDestination")),
        Secret(unsubscribe.SECRET, owner=unsubscribe.OWNER),
    ],
    prepare=prepare,
    hears=[on(SuppressionLifted, handlers.lift_suppression, channel=Channel.EMAIL)],
)
