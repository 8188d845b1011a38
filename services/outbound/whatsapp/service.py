"""The sender of WhatsApp messages."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.service import Grant
from libs.common.settings import Settings
from services.outbound.budget import Budget
from services.outbound.family import sender
from services.outbound.rates import Limits
from services.outbound.whatsapp.channel import WhatsApp

#: Meta: 80 messages a second per number; one per 6 s to one person, with a burst (45 at Meta, we borrow less).
LIMITS = Limits(per_second=80, pair_seconds=6, pair_burst=10)


def phone_number_ids(settings: Settings) -> Sequence[str]:
    """The numbers that may send, comma-separated in ``WECARE_WHATSAPP_PHONE_NUMBER_IDS``."""
    return [part.strip() for part in settings.whatsapp_phone_number_ids.split(",") if part.strip()]


service = sender(
    WhatsApp(),
    LIMITS,
    needs=[Grant(("social-messaging:SendWhatsAppMessage", "social-messaging:PostWhatsAppMessageMedia"))],
    senders=phone_number_ids,
    budget=Budget(lambda settings: settings.whatsapp_daily_recipients),
)
