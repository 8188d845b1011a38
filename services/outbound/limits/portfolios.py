"""WhatsApp business portfolios: each has its own messaging limit, which all of its numbers share (Meta, "Messaging limits")."""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.common.declare.service import TickAction
from libs.common.handle.context import Context
from libs.common.settings import Settings
from libs.messaging.channels import Channel
from libs.messaging.settings import MessagingSettings
from services.outbound.limits.budget import Budget


class Portfolios:
    """The budget of each portfolio that the settings name, and of the default portfolio, which has all other numbers."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._budgets: dict[str, Budget] = {}

    def of(self, sender: str, settings: Settings) -> Budget:
        """The budget of a number's portfolio."""
        return self._named(settings.of(MessagingSettings).whatsapp_portfolio_of(sender))

    async def watch(self, ctx: Context) -> AsyncIterator[TickAction]:
        """Runs :meth:`Budget.watch` for each portfolio."""
        for name in ctx.settings.of(MessagingSettings).whatsapp_limits:
            async for step in self._named(name).watch(ctx):
                yield step

    def _named(self, name: str) -> Budget:
        # One object per portfolio and process: it keeps the slots that the process has reserved.
        return self._budgets.setdefault(name, Budget(self._channel, name))
