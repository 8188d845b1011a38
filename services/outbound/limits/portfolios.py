"""WhatsApp's business portfolios: each has a messaging limit of its own, which all of its numbers share (Meta, "Messaging
limits")."""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.common.declare.service import TickAction
from libs.common.handle.context import Context
from libs.common.settings import Settings
from libs.messaging.settings import MessagingSettings
from services.outbound.limits.budget import Budget


class Portfolios:
    """The budget of each portfolio that the settings name, and the default's, whose are all other numbers."""

    def __init__(self) -> None:
        self._budgets: dict[str, Budget] = {}

    def of(self, sender: str, settings: Settings) -> Budget:
        """The budget that a number draws on."""
        return self._named(settings.of(MessagingSettings).whatsapp_portfolio_of(sender))

    async def watch(self, ctx: Context) -> AsyncIterator[TickAction]:
        """See :meth:`Budget.watch`, for each of them."""
        for name in ctx.settings.of(MessagingSettings).whatsapp_limits:
            async for step in self._named(name).watch(ctx):
                yield step

    def _named(self, name: str) -> Budget:
        # One object each for the life of the process: it remembers the places that it holds.
        return self._budgets.setdefault(name, Budget(name))
