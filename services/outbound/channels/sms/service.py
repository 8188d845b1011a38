"""The sender of SMS and MMS."""

from __future__ import annotations

from libs.common.declare.service import Grant
from services.outbound.channels.sms.channel import Sms
from services.outbound.limits.rates import Limits
from services.outbound.sending.channel_service import channel_service

#: Parts a second by the kind of number (AWS, *SMS limits: messages per second*). A 10DLC number has what its campaign was
#: given, by the setting; a pool has what its numbers have, so it is set too. One message a second to one person.
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
