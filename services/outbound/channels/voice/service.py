"""The sender of voice messages."""

from __future__ import annotations

from libs.common.declare.service import Grant, on
from libs.messaging.channels import Channel
from libs.messaging.events.inbound import ReceiptReceived
from services.outbound.channels.voice import http
from services.outbound.channels.voice.channel import Voice
from services.outbound.channels.voice.handlers import follow_call
from services.outbound.channels.voice.model import VoiceCall
from services.outbound.limits.rates import Limits
from services.outbound.sending.channel_service import channel_service

#: AWS: 20 calls per minute in total, one per second from a number. With several numbers, or a raised limit, configure
#: it.
LIMITS = Limits(per_second=20 / 60)

service = channel_service(
    Voice(),
    LIMITS,
    needs=[Grant(("sms-voice:SendVoiceMessage", "sms-voice:DescribePhoneNumbers"))],
    serves=http.router,
    owns=[VoiceCall],
    hears=[on(ReceiptReceived, follow_call, channel=Channel.VOICE)],
)
