"""Event handlers of the e-mail sender in addition to those of every sender."""

from __future__ import annotations

from libs.common.handle.context import Context
from libs.messaging.events.contacts import SuppressionLifted


async def lift_suppression(event: SuppressionLifted, ctx: Context) -> None:
    """Removes the address from SES's own suppression list too; otherwise the next message would bounce. SES matches the
    spelling that bounced, which may be lower-case. An address that is not on the list is no error."""
    if not event.address:
        return
    client = await ctx.aws.client("sesv2")
    for address in dict.fromkeys((event.address, event.address.lower())):
        try:
            await client.delete_suppressed_destination(EmailAddress=address)
        except client.exceptions.NotFoundException:
            continue
