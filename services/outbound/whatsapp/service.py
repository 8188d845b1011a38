"""The sender of WhatsApp messages."""

from __future__ import annotations

from libs.common.service import Grant
from libs.messaging.providers.graph import OWNER, needs_token
from services.outbound.family import sender
from services.outbound.portfolios import Portfolios
from services.outbound.rates import Limits
from services.outbound.whatsapp.channel import WhatsApp

#: Meta: 80 messages a second per number; one per 6 s to one person, with a burst (45 at Meta, we borrow less).
LIMITS = Limits(per_second=80, pair_seconds=6, pair_burst=10)


service = sender(
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
    portfolios=Portfolios(),
)
