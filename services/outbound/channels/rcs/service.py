"""The sender of RCS messages."""

from __future__ import annotations

from libs.common.declare.service import Grant
from services.outbound.channels.rcs.channel import Rcs
from services.outbound.limits.rates import Limits
from services.outbound.sending.channel_service import channel_service

#: AWS documents no rate for an agent; its rate is configured in the setting. One message per second to one person, as
#: for SMS.
LIMITS = Limits(per_second=10, pair_seconds=1)

service = channel_service(Rcs(), LIMITS, needs=[Grant(("sms-voice:SendRcsMessage", "sms-voice:DescribePhoneNumbers"))])
