"""The declaration of ``inbound``: provider feeds become typed events."""

from __future__ import annotations

from libs.common.service import Feed, Service
from libs.messaging.events.inbound import (
    AccountNoticed,
    AddressSuppressed,
    ConversationNoticed,
    MessageReceived,
    PreferenceChanged,
    ReceiptReceived,
)
from services.inbound.channels import sms_two_way, sms_voice, whatsapp

#: One AWS service reports on SMS, MMS, voice and RCS, and brings what people answer by SMS and RCS.
SMS_VOICE = ("sms-voice.amazonaws.com",)

service = Service(
    "inbound",
    feeds=[
        Feed("whatsapp", whatsapp.parse, principals=("social-messaging.amazonaws.com",)),
        Feed("sms-voice", sms_voice.parse, principals=SMS_VOICE),
        Feed("sms-voice-inbound", sms_two_way.parse, principals=SMS_VOICE, timed=True),
    ],
    says=[MessageReceived, ReceiptReceived, AccountNoticed, PreferenceChanged, AddressSuppressed, ConversationNoticed],
)
