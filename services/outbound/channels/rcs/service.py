"""The sender of RCS messages."""

from __future__ import annotations

from libs.common.declare.service import Grant
from services.outbound.channels.rcs.channel import Rcs
from services.outbound.limits.rates import Limits
from services.outbound.sending.channel_service import channel_service

#: AWS names no rate for an agent; what it is given stands in the setting. One message a second to one person, as by SMS.
LIMITS = Limits(per_second=10, pair_seconds=1)

service = channel_service(Rcs(), LIMITS, needs=[Grant(("sms-voice:SendRcsMessage", "sms-voice:DescribePhoneNumbers"))])
