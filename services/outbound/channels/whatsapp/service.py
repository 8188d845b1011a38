"""The sender of WhatsApp messages."""

from __future__ import annotations

from libs.common.declare.service import Grant
from libs.messaging.channels import Channel
from libs.messaging.providers.graph import OWNER, needs_token
from services.outbound.channels.whatsapp.channel import WhatsApp
from services.outbound.limits.portfolios import Portfolios
from services.outbound.limits.rates import Limits
from services.outbound.sending.channel_service import channel_service

#: Meta: 80 messages a second per number; one per 6 s to one person, with a burst (45 at Meta, we borrow less).
LIMITS = Limits(per_second=80, pair_seconds=6, pair_burst=10)


service = channel_service(
    WhatsApp(),
    LIMITS,
    needs=[
        Grant(
            (
                "social-messaging:SendWhatsAppMessage",
                "social-messaging:PostWhatsAppMessageMedia",
                "social-messaging:ListLinkedWhatsAppBusinessAccounts",
            )
        ),
        needs_token(OWNER),
    ],
    portfolios=Portfolios(Channel.WHATSAPP),
)
