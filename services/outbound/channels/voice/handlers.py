"""Records reports on calls."""

from __future__ import annotations

import structlog

from libs.common.handle.context import Context
from libs.messaging.events.inbound import ReceiptReceived
from services.outbound.channels.voice.model import VoiceCall, call_started, reported
from services.outbound.ledger.model import Delivery

log = structlog.get_logger()


async def follow_call(event: ReceiptReceived, ctx: Context) -> None:
    """Records a report on its call. The row records which reports it has, so a report may arrive late and more than
    once. The send ledger has the call's message: it is written before the call is made."""
    sent = await ctx.get(Delivery, event.message_id) if event.message_id else None
    if sent is None:
        log.warning("a report on a call that is not ours", status=event.provider_status)
        return
    known = await ctx.get(VoiceCall, sent.message_id)
    call = known or call_started(event, sent.contact_id)
    after = reported(call, event)
    if known is not None and after == known:
        return
    await ctx.save(after, over=known)
