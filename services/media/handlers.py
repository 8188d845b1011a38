"""Files that come with messages are brought into our bucket; what was looked at and is not needed any more is removed."""

from __future__ import annotations

from datetime import timedelta

import structlog

from libs.common.context import Context
from libs.common.errors import Later
from libs.common.event import Event
from libs.common.isolated import MAX_WAIT_SECONDS, Busy
from libs.messaging.attached import slots
from libs.messaging.content import File
from libs.messaging.events.inbound import MessageReceived
from libs.messaging.events.media import MediaDeleted, MediaRejected, MediaStored
from libs.messaging.events.messages import MessageDeleted
from libs.messaging.words import Channel
from services.media.admission import admit
from services.media.gone import Gone
from services.media.model import BUCKET, KEPT, WHATSAPP_INBOUND, MediaFile, inbound_id, safe_name, until
from services.media.sources import bring

log = structlog.get_logger()


async def fetch_files(event: MessageReceived, ctx: Context) -> list[Event]:
    """Bring each file of a message once. Ids and keys derive from the message, so that a redelivery finds what is there, or
    brings the same bytes to the same place; the row is written last and only once."""
    said: list[Event] = []
    for part, slot in enumerate(slots(event.content)):
        row = await ctx.get(MediaFile, inbound_id(event.message_id, part))
        if row is None:
            row = await _fetched(event, part, slot.file, ctx)
        said += row.said(ctx.bucket(BUCKET))
    return said


async def _fetched(event: MessageReceived, part: int, file: File, ctx: Context) -> MediaFile:
    row = _row(event, part, file, ctx)
    try:
        row = await admit(row, await bring(event, file, row, ctx), ctx)
    except Busy as busy:
        raise Later(ctx.now + timedelta(seconds=MAX_WAIT_SECONDS), str(busy)) from None
    except Gone as gone:
        row = row.rejected(gone.reason, gone.detail)
    written = await ctx.write(ctx.insert(row))
    if not written and written.row is not None:
        return MediaFile.from_row(written.row)
    log.info("file", file=row.file_id, state=row.state, reason=row.reason, channel=row.channel)
    return row


def _row(event: MessageReceived, part: int, file: File, ctx: Context) -> MediaFile:
    from_whatsapp = event.channel is Channel.WHATSAPP and file.provider_id
    return MediaFile(
        file_id=inbound_id(event.message_id, part),
        message_id=event.message_id,
        part=part,
        channel=event.channel,
        filename=safe_name(file.filename),
        declared_type=file.content_type,
        provider_id=file.provider_id,
        provider_id_expires_at=event.received_at + WHATSAPP_INBOUND if from_whatsapp else None,
        created_by="customer",
        uploaded_at=ctx.now,
        expires_at=until(ctx.now + KEPT),
    )


async def tidy(event: MediaStored | MediaRejected, ctx: Context) -> None:
    """The object that was judged is not needed any more, or must not stay. Heard as an event, for it may only go once the
    decision is written."""
    row = await ctx.get(MediaFile, event.file_id)
    if row is None or row.state == "pending":
        return
    bucket = ctx.bucket(BUCKET)
    if row.message_id is None:
        await ctx.files.delete(bucket, row.raw_key)
        return
    for key in await ctx.files.keys(bucket, row.inbound_prefix):
        await ctx.files.delete(bucket, key)


async def forget_message(event: MessageDeleted, ctx: Context) -> list[Event]:
    """With the content of a message go its files. Bytes first: a row without bytes is found again, bytes without a row never."""
    said: list[Event] = []
    page = await ctx.query(MediaFile, event.message_id, index="by-message", limit=100)
    for row in page.items:
        await _remove(row, ctx)
        said.append(MediaDeleted(file_id=row.file_id, message_id=row.message_id))
    return said


async def _remove(row: MediaFile, ctx: Context) -> None:
    if row.s3_key is not None:
        await ctx.files.delete(ctx.bucket(BUCKET), row.s3_key)
    await ctx.write(
        ctx.update(
            MediaFile,
            row.file_id,
            set={"state": "rejected", "reason": "deleted"},
            remove=("s3Key", "filename", "sha256"),
        )
    )
