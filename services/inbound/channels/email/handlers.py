"""What ``inbound`` does that is not translating: it reads mail that was put into our bucket."""

from __future__ import annotations

from libs.common.errors import Poison
from libs.common.handle.context import Context
from libs.messaging.events.inbound import EmailStored, MessageReceived
from services.inbound.channels.email.received import message_of

#: What SES receives at most.
MAX_MAIL_BYTES = 40 * 1024 * 1024
MAIL = "mail"


async def read_mail(event: EmailStored, ctx: Context) -> list[MessageReceived]:
    """The message itself, from our own bucket and no other; one that is not there (yet) brings the event back."""
    if event.bucket != ctx.bucket(MAIL):
        raise Poison("the mail is said to lie in a bucket that is not ours")
    raw = await ctx.files.read(event.bucket, event.key, MAX_MAIL_BYTES)
    if raw is None:
        raise FileNotFoundError("the mail is not in the bucket")
    return [message_of(event.notification, raw, f"s3://{event.bucket}/{event.key}")]
