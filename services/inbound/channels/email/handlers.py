"""Reads mail that SES stored in our bucket."""

from __future__ import annotations

from datetime import timedelta

from libs.common.errors import Poison, RetryLater
from libs.common.handle.context import Context
from libs.common.isolated import MAX_WAIT_SECONDS, NoSlot
from libs.messaging.events.inbound import EmailStored, MessageReceived
from services.inbound.channels.email.received import message_of
from services.inbound.parsing.mail.reader import read_apart

#: The largest mail that SES receives.
MAX_MAIL_BYTES = 40 * 1024 * 1024
MAIL = "mail"


async def read_mail(event: EmailStored, ctx: Context) -> list[MessageReceived]:
    """Reads the stored mail, from our own bucket only. Raises, so that the event is retried, if the object does not
    exist (yet)."""
    if event.bucket != ctx.bucket(MAIL):
        raise Poison("the mail is said to lie in a bucket that is not ours")
    raw = await ctx.files.read(event.bucket, event.key, MAX_MAIL_BYTES)
    if raw is None:
        raise FileNotFoundError("the mail is not in the bucket")
    try:
        found = await read_apart(raw)
    except NoSlot as busy:
        raise RetryLater(ctx.now + timedelta(seconds=MAX_WAIT_SECONDS), str(busy)) from None
    return [message_of(event.notification, found, f"s3://{event.bucket}/{event.key}")]
