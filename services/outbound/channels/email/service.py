"""The sender of e-mail."""

from __future__ import annotations

from libs.common.declare.service import Grant, Secret, on
from libs.messaging import unsubscribe
from libs.messaging.channels import Channel
from libs.messaging.events.contacts import SuppressionLifted
from services.outbound.channels.email import handlers
from services.outbound.channels.email.channel import EmailChannel
from services.outbound.channels.email.prepare import prepare
from services.outbound.channels.email.quota import Quota
from services.outbound.sending.channel_service import channel_service

service = channel_service(
    EmailChannel(),
    Quota().limits,
    needs=[
        Grant(("ses:SendEmail", "ses:GetAccount", "ses:DeleteSuppressedDestination")),
        Secret(unsubscribe.SECRET, owner=unsubscribe.OWNER),
    ],
    prepare=prepare,
    hears=[on(SuppressionLifted, handlers.lift_suppression, channel=Channel.EMAIL)],
)
