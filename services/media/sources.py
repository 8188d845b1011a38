"""Fetches the bytes of an inbound file: from the provider's store, from our bucket, or from a stored mail.

Each function stores them in our bucket and returns the key, or raises :class:`Gone` if they can never be fetched. Any
other error leads to a retry of the event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from libs.common.aws.files import TooBig
from libs.common.errors import Unreadable
from libs.common.handle.context import Context
from libs.common.isolated import Isolated, OverLimit, ReaderFailed
from libs.messaging.content import File
from libs.messaging.events.inbound import MessageReceived
from libs.messaging.mime import parsed, parts_of
from libs.messaging.settings import MessagingSettings
from services.media.deletion import Gone
from services.media.meta import from_meta
from services.media.model import BUCKET, MediaFile

MAIL = "mail"
#: The largest mail that SES receives (AWS, "Amazon SES quotas").
MAX_MAIL_BYTES = 40 * 1024 * 1024
#: A usual mail of 40 MB takes 0.6 s.
_READERS = Isolated(cpu_seconds=5, wait_seconds=20, output_bytes=MAX_MAIL_BYTES)
_GONE = {
    "ResourceNotFoundException": ("expired", "WhatsApp does not have it any more; its ids live seven days."),
    "InvalidParametersException": ("refused", "WhatsApp refused to hand it out."),
    "ValidationException": ("refused", "WhatsApp refused to hand it out."),
}


async def fetch_source(event: MessageReceived, file: File, row: MediaFile, ctx: Context) -> str:
    """Returns the key in our bucket that holds the bytes. Raises Gone."""
    if file.url:
        return _in_our_bucket(file.url, ctx)
    match event.channel.traits.received_files:
        case "whatsapp":
            return await _from_whatsapp(event, row, ctx)
        case "mail":
            return await _out_of_mail(event, row, ctx)
    raise Gone("refused", f"There is no way to fetch files of {event.channel}.")


def _in_our_bucket(url: str, ctx: Context) -> str:
    """RCS: AWS stored the file in our bucket."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or bucket != ctx.bucket(BUCKET) or not key:
        raise Gone("not_ours", "It lies outside our bucket.")
    return key


async def _from_whatsapp(event: MessageReceived, row: MediaFile, ctx: Context) -> str:
    by_meta = event.details.get("metaPhoneNumberId")
    return await from_meta(by_meta, row, ctx) if isinstance(by_meta, str) else await _from_aws(event, row, ctx)


async def _from_aws(event: MessageReceived, row: MediaFile, ctx: Context) -> str:
    """Requests that AWS copies the file into our bucket, under the prefix, its own id and an extension that it chooses
    (AWS End User Messaging Social, "Receiving media"). Repeatable."""
    client = await ctx.client("socialmessaging")
    bucket, prefix = ctx.bucket(BUCKET), row.inbound_prefix
    try:
        await client.get_whatsapp_message_media(
            mediaId=row.provider_id,
            originationPhoneNumberId=_phone_number(event, ctx),
            destinationS3File={"bucketName": bucket, "key": prefix},
        )
    except ClientError as error:
        gone = _GONE.get(error.response.get("Error", {}).get("Code", ""))
        if gone is None:
            raise
        raise Gone(*gone) from None
    keys = await ctx.files.keys(bucket, prefix)
    if not keys:
        raise Gone("missing", "WhatsApp said that it delivered the file, and it is not there.")
    return keys[0]


def _phone_number(event: MessageReceived, ctx: Context) -> str:
    """Returns AWS's id of the number that received the message: from the event, else the first number that may send."""
    reported: Any = event.details.get("phoneNumberArn")
    if isinstance(reported, str) and reported:
        return reported
    settings = ctx.settings.of(MessagingSettings)
    of_aws = [number for number in settings.may_send(event.channel) if not settings.is_at_meta(number)]
    if not of_aws:
        raise Gone("no_sender", "It is not known which of our numbers it was sent to.")
    return of_aws[0]


async def _out_of_mail(event: MessageReceived, row: MediaFile, ctx: Context) -> str:
    """Extracts one part of a stored mail (``details.raw``)."""
    bucket, _, key = str(event.details.get("raw", "")).removeprefix("s3://").partition("/")
    if bucket != ctx.bucket(MAIL) or not key:
        raise Gone("not_ours", "The mail is not kept, so its attachments are not.")
    try:
        raw = await ctx.files.read(bucket, key, MAX_MAIL_BYTES)
    except TooBig:
        raise Gone("too_big", f"The mail has more than {MAX_MAIL_BYTES} bytes.") from None
    data = await _part(raw, row.provider_id) if raw else None
    if data is None:
        raise Gone("missing", "The mail, or this part of it, is not there.")
    target = f"{row.inbound_prefix}{row.provider_id}"
    await ctx.files.put(ctx.bucket(BUCKET), target, data, "application/octet-stream")
    return target


async def _part(raw: bytes, name: str | None) -> bytes | None:
    """Returns the bytes of ``part-<n>``. Raises Gone, or NoSlot."""
    number = (name or "").removeprefix("part-")
    if not number.isdecimal():
        return None
    try:
        return await _READERS.call(_part_apart, raw, int(number)) or None
    except (Unreadable, OverLimit, ReaderFailed) as error:
        raise Gone("unreadable", f"This part of the mail cannot be read: {error}.") from None


def _part_apart(raw: bytes, number: int) -> Iterator[bytes]:
    """Runs in the child process."""
    try:
        data = parts_of(parsed(raw))[number].get_payload(decode=True)
    except Exception as error:
        raise Unreadable(f"the library fails at it ({type(error).__name__})") from None
    if isinstance(data, bytes):
        yield data
