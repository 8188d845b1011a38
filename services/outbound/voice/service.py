"""The sender of voice messages."""

from __future__ import annotations

from libs.common.service import Grant, on
from libs.messaging.events.inbound import ReceiptReceived
from libs.messaging.words import Channel
from services.outbound.family import sender
from services.outbound.rates import Limits
from services.outbound.voice import http
from services.outbound.voice.channel import Voice
from services.outbound.voice.handlers import follow_call
from services.outbound.voice.model import VoiceCall

#: AWS: 20 calls a minute in all, one a second from a number. With several numbers, or a raised limit, it is set.
LIMITS = Limits(per_second=20 / 60)

service = sender(
    Voice(),
    LIMITS,
    needs=[Grant(("sms-voice:SendVoiceMessage", "sms-voice:DescribePhoneNumbers"))],
    serves=http.router,
    owns=[VoiceCall],
    hears=[on(ReceiptReceived, follow_call, channel=Channel.VOICE)],
)
