"""The declaration of ``inbound``: provider feeds become typed events."""

from __future__ import annotations

from libs.common.declare.service import Bucket, Feed, Grant, Secret, Service, on
from libs.messaging import unsubscribe
from libs.messaging.events.inbound import (
    AccountNoticed,
    AddressSuppressed,
    ConversationNoticed,
    EmailStored,
    MessageReceived,
    PreferenceChanged,
    ReceiptReceived,
    Unsubscribed,
)
from services.inbound import handlers, http, mail, unknown_members
from services.inbound.channels import email, sms_two_way, sms_voice, whatsapp

#: One AWS service reports on SMS, MMS, voice and RCS, and brings what people answer by SMS and RCS.
SMS_VOICE = ("sms-voice.amazonaws.com",)

service = Service(
    "inbound",
    feeds=[
        Feed("whatsapp", whatsapp.parse, principals=("social-messaging.amazonaws.com",)),
        Feed("email", email.parse, principals=("ses.amazonaws.com",), max_inline_characters=mail.MAX_INLINE_BYTES),
        Feed("sms-voice", sms_voice.parse, principals=SMS_VOICE),
        Feed("sms-voice-inbound", sms_two_way.parse, principals=SMS_VOICE, timed=True),
    ],
    hears=[on(EmailStored, handlers.read_mail)],
    says=[
        MessageReceived,
        ReceiptReceived,
        AccountNoticed,
        PreferenceChanged,
        AddressSuppressed,
        ConversationNoticed,
        EmailStored,
        Unsubscribed,
    ],
    serves=http.router,
    counts=unknown_members.count,
    needs=[
        Bucket(handlers.MAIL, days=30),
        Secret(unsubscribe.SECRET),
        Secret(http.META_APP_SECRET),
        Secret(http.META_VERIFY_TOKEN),
        Grant(("sns:ConfirmSubscription",)),
    ],
)
