"""Prepares a message for its send: decided, rendered for the provider, and counted where the day is limited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.handle.context import Context
from libs.common.settings import Settings
from libs.messaging import template_copy as templates
from libs.messaging.checks import Refusal
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageQueued
from libs.messaging.permission import Permission
from libs.messaging.settings import MessagingSettings
from libs.messaging.vocabulary import Purpose
from services.outbound.contract import Account, Channel, Invalid, Outgoing, Request
from services.outbound.limits.marketing import reserve_capacity
from services.outbound.limits.portfolios import Portfolios
from services.outbound.sending.decision import Decision, Refused, decide
from services.outbound.sending.files import with_prepared_files
from services.outbound.settings import OutboundSettings

#: Fetches what a channel's pure ``render`` needs besides (a file, a signed link) into the account. Raises Invalid.
Prepare = Callable[[Outgoing, Account, Context], Awaitable[Account]]


@dataclass(frozen=True)
class Prepared:
    """A message that may go: the permission it goes by, what goes out, the provider's request, its sender; and until when
    the contact has had enough marketing with it."""

    permission: Permission
    outgoing: Outgoing
    request: Request
    sender: str
    full_until: datetime | None


@dataclass(frozen=True)
class Preparation:
    """How one channel prepares. ``senders`` lists the identities that may send, by the settings; the first is the default."""

    channel: Channel
    senders: Callable[[Settings], Sequence[str]]
    prepare: Prepare | None = None
    portfolios: Portfolios | None = None

    async def prepared(self, event: MessageQueued, ctx: Context) -> Prepared:
        """Raises Refused, SendLater and RetryLater."""
        decision = await decide(event, ctx)
        sender = self._allowed_sender(event, ctx)
        outgoing = self._outgoing(event, decision, ctx)
        try:
            outgoing, request = await self._rendered(outgoing, event, sender, ctx)
        except Invalid as invalid:
            raise Refused(Refusal(invalid.code, invalid.detail)) from None
        full_until = await self._reserved(event, decision, sender, ctx)
        return Prepared(decision.permission, outgoing, request, sender, full_until)

    def sender(self, named: str | None, ctx: Context) -> str | None:
        """Who sends: the one that is named, else the first that may."""
        return named or next(iter(self.senders(ctx.settings)), None)

    def _allowed_sender(self, event: MessageQueued, ctx: Context) -> str:
        sender = self.sender(event.sender, ctx)
        if sender is None:
            raise Refused(Refusal(ErrorCode.MISCONFIGURED, "No sender is named, and none is set."))
        allowed = self.senders(ctx.settings)
        # Whoever wrote STOP to a number of ours is answered from there, whatever else may send.
        if allowed and sender not in allowed and event.purpose is not Purpose.COMPLIANCE:
            raise Refused(Refusal(ErrorCode.SENDER_NOT_ALLOWED))
        return sender

    def _outgoing(self, event: MessageQueued, decision: Decision, ctx: Context) -> Outgoing:
        content = templates.written_out(event.content, decision.template, event.channel)
        if isinstance(content, Refusal):
            raise Refused(content)
        return Outgoing(
            event.message_id,
            decision.permission.address or "",
            content,
            event.message_class,
            event.purpose,
            event.in_reply_to,
            max(0, int((event.expires_at - ctx.now).total_seconds())),
            event.contact_id,
            event.job_id,
        )

    async def _rendered(
        self, outgoing: Outgoing, event: MessageQueued, sender: str, ctx: Context
    ) -> tuple[Outgoing, Request]:
        """Raises Invalid."""
        senders = ctx.settings.of(MessagingSettings).senders_of(self.channel.name)
        account = Account(sender, senders.parameters_of(sender))
        outgoing = await with_prepared_files(outgoing, event, sender, self.channel, ctx)
        if self.prepare is not None:
            account = await self.prepare(outgoing, account, ctx)
        return outgoing, self.channel.render(outgoing, account)

    async def _reserved(self, event: MessageQueued, decision: Decision, sender: str, ctx: Context) -> datetime | None:
        """Counts it where the day is limited; a dry run counts nowhere. Raises SendLater."""
        if ctx.settings.of(OutboundSettings).send_mode != "LIVE":
            return None
        budget = self.portfolios.of(sender, ctx.settings) if self.portfolios else None
        cap = decision.settings.marketing_daily_cap
        return await reserve_capacity(event, decision.purpose, decision.permission, budget, cap, ctx)
