"""The sender of RCS messages."""

from __future__ import annotations

from libs.common.service import Grant
from services.outbound.family import sender
from services.outbound.rates import Limits
from services.outbound.rcs.channel import Rcs

#: AWS names no rate for an agent; what it is given stands in the setting. One message a second to one person, as by SMS.
LIMITS = Limits(per_second=10, pair_seconds=1)

service = sender(Rcs(), LIMITS, needs=[Grant(("sms-voice:SendRcsMessage", "sms-voice:DescribePhoneNumbers"))])
