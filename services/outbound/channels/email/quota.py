"""The account's sending quota at SES (``GetAccount``), refreshed every few minutes.

A worker without a quota, or with one older than an hour, does not send.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

import structlog

from libs.common.errors import RetryLater
from libs.common.handle.context import Context
from libs.common.store.ops import Store
from services.outbound.limits.rates import Limits

REFRESH_INTERVAL = timedelta(minutes=5)
#: Maximum age of a quota that could not be refreshed; quotas grow, and shrink only for an account in trouble.
MAX_AGE = timedelta(hours=1)
#: Delay between two attempts while SES does not answer.
RETRY_DELAY = timedelta(seconds=5)
#: SES gives "-1" to accounts without a daily limit.
UNLIMITED = -1

log = structlog.get_logger()


@dataclass
class _Known:
    asked: datetime | None = None
    told: datetime | None = None
    per_second: float = 0.0
    per_day: float = 0.0
    sent: float = 0.0


class Quota:
    """The quota, shared by all senders of this process."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Store, _Known] = WeakKeyDictionary()
        self._lock = asyncio.Lock()

    async def limits(self, ctx: Context) -> Limits:
        """Returns the limits that SES reported. Raises RetryLater while they are not known or the day's quota is used
        up."""
        known = self._known.setdefault(ctx.store, _Known())
        if known.told is None or ctx.now >= known.told + REFRESH_INTERVAL:
            async with self._lock:
                await self._ask(known, ctx)
        if known.told is None or ctx.now >= known.told + MAX_AGE:
            raise RetryLater(ctx.now + RETRY_DELAY, "the account's sending quota is not known")
        if known.per_day != UNLIMITED and known.sent >= known.per_day:
            raise RetryLater(known.told + REFRESH_INTERVAL, "the account's quota of 24 hours is used up")
        if known.per_second <= 0:
            raise RetryLater(known.told + REFRESH_INTERVAL, "the account may not send")
        return Limits(per_second=known.per_second, shared=True)

    async def _ask(self, known: _Known, ctx: Context) -> None:
        if known.asked is not None and ctx.now < known.asked + RETRY_DELAY:
            return
        if known.told is not None and ctx.now < known.told + REFRESH_INTERVAL:
            return
        known.asked = ctx.now
        try:
            answer = await (await ctx.aws.client("sesv2")).get_account()
            quota = answer["SendQuota"]
            known.per_second, known.per_day = float(quota["MaxSendRate"]), float(quota["Max24HourSend"])
            known.sent = float(quota["SentLast24Hours"])
            known.told = ctx.now
        except Exception as error:
            # The previous quota remains valid for MAX_AGE; without one, nothing is sent.
            log.warning("the sending quota could not be asked for", error=type(error).__name__)
