"""How much SES lets this account send: its own word (``GetAccount``), asked for again every few minutes.

Who has never been told, or not for an hour, does not send.
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
#: A quota that could not be asked for again holds so long; quotas grow, and shrink only when an account is in trouble.
MAX_AGE = timedelta(hours=1)
#: Between two tries to ask while SES does not answer.
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
    """Asked once for all that send from this process."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Store, _Known] = WeakKeyDictionary()
        self._lock = asyncio.Lock()

    async def limits(self, ctx: Context) -> Limits:
        """The limits as SES told them. Raises Later while they are not known or the day's quota is used up."""
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
            # What was known before holds for a while; who knows nothing does not send.
            log.warning("the sending quota could not be asked for", error=type(error).__name__)
