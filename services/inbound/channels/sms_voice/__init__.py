"""SMS, MMS, voice and RCS: one AWS service publishes the reports on all of them, and inbound SMS and RCS messages."""

from libs.common.declare.service import Feed
from services.inbound.channels.sms_voice import reports, two_way
from services.inbound.contract import Translator

_PRINCIPALS = ("sms-voice.amazonaws.com",)

translator = Translator(
    feeds=[
        Feed("sms-voice", reports.parse, principals=_PRINCIPALS),
        Feed("sms-voice-inbound", two_way.parse, principals=_PRINCIPALS, timed=True),
    ]
)
