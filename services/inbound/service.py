"""The declaration of ``inbound``: provider feeds become typed events."""

from __future__ import annotations

from libs.common.service import Feed, Service
from libs.messaging.events.inbound import AccountNoticed, MessageReceived, PreferenceChanged, ReceiptReceived
from services.inbound.channels import whatsapp

service = Service(
    "inbound",
    feeds=[Feed("whatsapp", whatsapp.parse, principals=("social-messaging.amazonaws.com",))],
    says=[MessageReceived, ReceiptReceived, AccountNoticed, PreferenceChanged],
)
