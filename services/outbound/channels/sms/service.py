"""The sender of SMS and MMS."""

from __future__ import annotations

from libs.common.declare.service import Grant
from services.outbound.channels.sms.channel import Sms
from services.outbound.limits.rates import Limits
from services.outbound.sending.channel_service import channel_service

#: Parts per second by the kind of number (AWS, *SMS limits: messages per second*). The rate of a 10DLC number is that
#: of its campaign, and the rate of a pool that of its numbers; both are configured in the setting. One message per
#: second to one person.
LIMITS = Limits(
    per_second=1,
    by_kind={
        "SHORT_CODE": 100,
        "LONG_CODE": 10,
        "SENDER_ID": 10,
        "SHARED": 20,
        "TOLL_FREE": 3,
        "TEN_DLC": 1,
        "CANADA_LONG_CODE": 1,
    },
    pair_seconds=1,
)

service = channel_service(
    Sms(),
    LIMITS,
    needs=[Grant(("sms-voice:SendTextMessage", "sms-voice:SendMediaMessage", "sms-voice:DescribePhoneNumbers"))],
)
