"""What the sender of e-mail hears besides what every sender hears."""

from __future__ import annotations

from libs.common.handle.context import Context
from libs.messaging.events.contacts import SuppressionLifted


async def lift_suppression(event: SuppressionLifted, ctx: Context) -> None:
    """Take the address off SES's own list too, or the next message would bounce there. SES matches the spelling that
    bounced, which may be the one in small letters; not being on the list is as good."""
    if not event.address:
        return
    client = await ctx.aws.client("sesv2")
    for address in dict.fromkeys((event.address, event.address.lower())):
        try:
            await client.delete_suppressed_destination(EmailAddress=address)
        except client.exceptions.NotFoundException:
            continue
